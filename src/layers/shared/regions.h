// Regions of interest, as ROIPooling and PSROIPooling read them: rows of (item, x1, y1, x2, y2).
#pragma once

#include <string>
#include <vector>

#include "layers/layer.h"

namespace trainer {

// Checks that bottom 0 is (N, C, H, W) and bottom 1 (R, 5), perhaps with more axes of extent 1, and gives R.
int64_t check_regions(LayerContext& context);

// Throws a data_error where a row names no item of `items`, or a corner is no number; `layer` says who reads
// them.
void check_region_rows(const float* rows, int64_t count, int64_t items, const std::string& layer);

// The range [begin, end) of rows or columns that a bin covers, cut off at `extent`.
struct Bin {
  int64_t begin, end;
};
Bin bin_of(float begin, float end, int64_t extent);

}  // namespace trainer
