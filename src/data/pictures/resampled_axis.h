// Resizing along one axis: the pixels that make each pixel of the result, and their weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace trainer {

// For each pixel of the result the first pixel, their count and `taps` weights, of which `count` matter. Weights have
// kWeightBits fractional bits: a weight times a byte, summed, fits 32 bits.
struct ResampledAxis {
  static constexpr int kWeightBits = 22;

  int taps = 0;
  std::vector<int> first, count;
  std::vector<int32_t> weights;

  const int32_t* weights_of(size_t i) const { return &weights[i * static_cast<size_t>(taps)]; }
  int most() const { return *std::max_element(count.begin(), count.end()); }
};

// The rounded byte of a sum.
inline uint8_t resampled_byte(int32_t sum) {
  const int32_t value = (sum + (1 << (ResampledAxis::kWeightBits - 1))) >> ResampledAxis::kWeightBits;
  return static_cast<uint8_t>(std::clamp(value, 0, 255));
}

// A weight as upper * 2^kLowerBits + lower, for instructions that multiply 16 bits.
struct SplitWeight {
  static constexpr int kLowerBits = 11;

  explicit SplitWeight(int32_t weight)
      : upper(static_cast<int16_t>(weight >> kLowerBits)),
        lower(static_cast<int16_t>(weight & ((1 << kLowerBits) - 1))) {}

  int16_t upper, lower;
};

}  // namespace trainer
