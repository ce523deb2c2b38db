// The order in which an epoch visits its records: a pure function of (key, epoch).
#pragma once

#include <cstdint>
#include <vector>

namespace trainer {

// A uniform random permutation of 0..count-1 (Fisher-Yates from the end; the partner of index i comes from the first
// two words of philox(key, stream, i)).
void draw_permutation(uint64_t key, uint64_t stream, uint32_t count, std::vector<uint32_t>& permutation);

// Maps running offsets to record numbers; an epoch visits every record once.
class Sampler {
 public:
  // Offset 0 is position `first` of the first epoch. Throws data_error for more than 2^32 - 1 records to shuffle.
  Sampler(uint64_t records, bool shuffle, uint64_t key, uint64_t first = 0);

  uint64_t epoch(uint64_t offset) const { return (offset + first_) / records_; }
  uint64_t position(uint64_t offset) const { return (offset + first_) % records_; }
  // Caches the permutation of the last requested epoch, so ascending offsets are cheap.
  uint64_t index(uint64_t offset);

  int64_t memory_bytes() const { return shuffle_ ? static_cast<int64_t>(records_ * sizeof(uint32_t)) : 0; }

 private:
  uint64_t records_;
  bool shuffle_;
  uint64_t key_;
  uint64_t first_;
  uint64_t drawn_epoch_ = 0;
  std::vector<uint32_t> permutation_;
};

}  // namespace trainer
