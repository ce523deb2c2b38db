// Convolution with 1x1 filters as matrix products over channels-last pixels, by instruction set.
//
// A panel is `width` columns of a matrix, stored row by row; zeros fill the last panel. A strip is the same with `rows`
// columns.
#pragma once

#include <cstdint>

#include "device/cpu/isa/by_type.h"

namespace trainer::cpu {

// Memory that the next call reads, to prefetch during this call.
struct NextRead {
  const float* at;
  int64_t floats;
};

// Sums of products of pixels, for the weight gradient. T: float or Bf16. Packed pixels are words of 4 bytes: a float,
// or the bf16 values of two pixels in one column, the first in the low half. `count` and ranges of packed pixels are in
// words. Missing words are zero.
template <typename T>
struct PointwiseSums {
  // Packs the words [first, end) of `pixels` pixels, which have `count` words, into panels or strips:
  // from[pixel * pixel_elements + column] to to[panel][count][width], or with `rows` instead of width.
  void (*pack_pixels)(const T* from, int64_t pixel_elements, int64_t columns, int64_t pixels, int64_t count,
                      int64_t first, int64_t end, float* to);
  void (*pack_strips)(const T* from, int64_t pixel_elements, int64_t columns, int64_t pixels, int64_t count,
                      int64_t first, int64_t end, float* to);
  // sums[panel][strip * rows + row][width] += the product of strips and panels over `count` words, for the units
  // [first, end) of panels * strips.
  void (*add_products)(const float* strips, const float* panels, int64_t strip_count, int64_t count, int64_t first,
                       int64_t end, float* sums, const NextRead (&next)[2]);
};

struct PointwiseTable {
  int64_t width, rows;

  // Packs the panels [begin, end) of a matrix [steps, columns], with element offsets step * per_step + column *
  // per_column, into to[panel][steps][width].
  void (*pack_panels)(const float* from, int64_t per_step, int64_t per_column, int64_t steps, int64_t columns,
                      int64_t begin, int64_t end, float* to);
  // y[row][columns] = the product of x[row][steps] and the panels, with bias (null: none) and relu (slope 1: none).
  // `around`: y uses non-temporal stores and its rows are aligned to 64 bytes.
  void (*multiply)(const float* x, int64_t x_row, const float* panels, int64_t steps, int64_t columns, int64_t rows,
                   const float* bias, float slope, float* y, int64_t y_row, bool around, NextRead next);
  // The functions for bf16 exist only in v4, and need AVX512_BF16.
  ByType<PointwiseSums> sums;
};

namespace isa_v2 {
extern const PointwiseTable kPointwiseTable;
}
namespace isa_v3 {
extern const PointwiseTable kPointwiseTable;
}
namespace isa_v4 {
extern const PointwiseTable kPointwiseTable;
}

}  // namespace trainer::cpu
