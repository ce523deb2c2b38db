// Computes the order of epochs.
#include "data/sampler.h"

#include <limits>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"

namespace trainer {

void shuffle_items(uint64_t key, uint64_t stream, uint64_t first_counter, std::span<uint32_t> items) {
  for (size_t i = items.size(); i-- > 1;) {
    const PhiloxBlock block = philox(key, stream, first_counter + i);
    const uint64_t bits = uint64_t{block[1]} << 32 | block[0];
    // The high word of bits * (i + 1): uniform over 0..i, its bias below 2^-32.
    const uint64_t low = (bits & 0xFFFFFFFFu) * (uint64_t{i} + 1);
    const uint64_t high = (bits >> 32) * (uint64_t{i} + 1);
    const uint64_t partner = (high + (low >> 32)) >> 32;
    std::swap(items[i], items[static_cast<size_t>(partner)]);
  }
}

void draw_permutation(uint64_t key, uint64_t stream, uint32_t count, std::vector<uint32_t>& permutation) {
  permutation.resize(count);
  std::iota(permutation.begin(), permutation.end(), 0u);
  shuffle_items(key, stream, 0, permutation);
}

Sampler::Sampler(uint64_t records, bool shuffle, uint64_t key, uint64_t first,
                 const std::optional<RecordWeights>& weights)
    : records_(records), shuffle_(shuffle), key_(key), first_(first) {
  TRAINER_ASSERT(records > 0);
  if (shuffle && records > std::numeric_limits<uint32_t>::max()) {
    throw data_error(
        "{} records cannot be shuffled: the maximum is 4,294,967,295. Shuffle them when the database is made.",
        format_count(static_cast<int64_t>(records)));
  }
  if (!weights) return;
  TRAINER_ASSERT(shuffle && weights->weights.size() == records);
  weighted_.emplace(*weights, key);
}

uint64_t Sampler::index(uint64_t offset) {
  if (!shuffle_) return position(offset);
  if (order_.empty() || drawn_epoch_ != epoch(offset)) {
    drawn_epoch_ = epoch(offset);
    if (weighted_) {
      weighted_->draw(drawn_epoch_, order_);
    } else {
      draw_permutation(key_, drawn_epoch_, static_cast<uint32_t>(records_), order_);
    }
  }
  return order_[static_cast<size_t>(position(offset))];
}

}  // namespace trainer
