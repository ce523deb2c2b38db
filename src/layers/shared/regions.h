// Regions of interest for ROIPooling and PSROIPooling: rows of (item, x1, y1, x2, y2).
#pragma once

#include <string>
#include <vector>

#include "layers/layer.h"

namespace trainer {

// Checks that bottom 0 is (N, C, H, W) and bottom 1 is (R, 5), possibly with more axes of extent 1; returns R.
int64_t check_regions(LayerContext& context);

// Throws a data_error if a row's item is outside [0, items), or a corner is not a moderate finite number; the message
// names `layer`.
void check_region_rows(const float* rows, int64_t count, int64_t items, const std::string& layer);

// The range [begin, end) of rows or columns that a bin covers, clipped to [0, extent].
struct Bin {
  int64_t begin, end;
};
Bin bin_of(float begin, float end, int64_t extent);

}  // namespace trainer
