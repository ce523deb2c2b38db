// The order in which an epoch visits its records: a pure function of (key, epoch).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/weighted_order.h"

namespace trainer {

// Puts the items in a uniform random order (Fisher-Yates from the end; the partner of item i comes from the first two
// words of philox(key, stream, first_counter + i)).
void shuffle_items(uint64_t key, uint64_t stream, uint64_t first_counter, std::span<uint32_t> items);
// A uniform random permutation of 0..count-1, by shuffle_items() from counter 0.
void draw_permutation(uint64_t key, uint64_t stream, uint32_t count, std::vector<uint32_t>& permutation);

// Maps running offsets to record numbers. An epoch visits every record once, or by weight.
class Sampler {
 public:
  // Offset 0 is position `first` of the first epoch. Throws data_error for more than 2^32 - 1 records to shuffle.
  // `weights` need a shuffle.
  Sampler(uint64_t records, bool shuffle, uint64_t key, uint64_t first = 0,
          const std::optional<RecordWeights>& weights = std::nullopt);

  uint64_t epoch(uint64_t offset) const { return (offset + first_) / records_; }
  uint64_t position(uint64_t offset) const { return (offset + first_) % records_; }
  // Caches the order of the last requested epoch, so ascending offsets are cheap.
  uint64_t index(uint64_t offset);

  int64_t memory_bytes() const {
    return (shuffle_ ? static_cast<int64_t>(records_ * sizeof(uint32_t)) : 0) +
           (weighted_ ? weighted_->memory_bytes() : 0);
  }

 private:
  uint64_t records_;
  bool shuffle_;
  uint64_t key_;
  uint64_t first_;
  std::optional<WeightedOrder> weighted_;
  uint64_t drawn_epoch_ = 0;
  std::vector<uint32_t> order_;
};

}  // namespace trainer
