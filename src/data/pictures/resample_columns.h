// The step of resizing along columns: each row of the result is a weighted sum of consecutive rows.
#pragma once

#include "data/pictures/pixel_view.h"
#include "data/pictures/resampled_axis.h"

namespace trainer {

// Memory that calls of one thread share.
class ColumnResampler {
 public:
  // Writes axis.first.size() rows of window.width pixels.
  void resize(const PixelWindow& window, const ResampledAxis& axis, uint8_t* out);

 private:
  // The weights of two rows, in the halves of a number.
  struct PairWeights {
    uint32_t upper, lower;
  };
  struct RowSum;
  static int64_t add_row_pairs(const RowSum& row, const PairWeights* pairs, int64_t end);

  std::vector<PairWeights> pairs_;
};

}  // namespace trainer
