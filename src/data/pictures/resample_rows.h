// The step of resizing along rows: each pixel of the result is a weighted sum of consecutive pixels of its row.
#pragma once

#include <vector>

#include "data/pictures/pixel_view.h"
#include "data/pictures/resampled_axis.h"

namespace trainer {

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
