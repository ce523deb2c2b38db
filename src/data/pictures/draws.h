// The random choices of one step for one image.
#pragma once

#include <cstdint>

#include "base/philox.h"

namespace trainer {

// A sequence of draws that is a pure function of (key, epoch, position): the same for any number of workers, and after
// a resume.
class Draws {
 public:
  Draws(uint64_t key, uint64_t epoch, uint64_t position) : key_(key), epoch_(epoch), position_(position) {}

  uint32_t bits() {
    if (used_ == block_.size()) {
      block_ = philox(key_, epoch_ + (blocks_++ << 40), position_);
      used_ = 0;
    }
    return block_[used_++];
  }
  // In [0, 1).
  double unit() { return bits() * 0x1p-32; }
  // In [low, high).
  double uniform(double low, double high) { return low + (high - low) * unit(); }
  // In 0 .. bound - 1.
  int64_t below(int64_t bound) { return static_cast<int64_t>((uint64_t{bits()} * static_cast<uint64_t>(bound)) >> 32); }
  bool chance(double probability) { return unit() < probability; }

 private:
  uint64_t key_;
  uint64_t epoch_;
  uint64_t position_;
  uint64_t blocks_ = 0;
  PhiloxBlock block_{};
  size_t used_ = block_.size();
};

}  // namespace trainer
