// The step of resizing along rows: each pixel of the result is a weighted sum of consecutive pixels of its row.
#pragma once

#include <cstdint>
#include <vector>

#include "data/pictures/pixel_view.h"

namespace trainer {

// The pixels that make a pixel of the result: for each one the first, their count and `taps` weights, of which `count`
// matter. Weights have kWeightBits fractional bits: a weight times a byte, summed, fits 32 bits.
struct ResampledAxis {
  static constexpr int kWeightBits = 22;

  int taps = 0;
  std::vector<int> first, count;
  std::vector<int32_t> weights;

  const int32_t* weights_of(size_t i) const { return &weights[i * static_cast<size_t>(taps)]; }
  int most() const;  // of count
};

// The rounded byte of a sum.
inline uint8_t resampled_byte(int32_t sum) {
  const int32_t value = (sum + (1 << (ResampledAxis::kWeightBits - 1))) >> ResampledAxis::kWeightBits;
  return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// Memory that calls of one thread share.
class RowResampler {
 public:
  // Writes axis.first.size() pixels for each row of the window.
  void resize(const PixelWindow& window, const ResampledAxis& axis, uint8_t* out);

 private:
  // Gives each lane of a group of taps its weight; returns the groups of a pixel.
  int prepare_lanes(const ResampledAxis& axis, int channels);
  int prepare_pairs(const ResampledAxis& axis);

  std::vector<int32_t> lane_weights_;
  std::vector<int16_t> pair_weights_;
  std::vector<uint8_t> row_;  // with zeros after it
};

}  // namespace trainer
