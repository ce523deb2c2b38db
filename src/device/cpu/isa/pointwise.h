// Convolution by filters of one pixel, as matrix products over channels-last pixels, by instruction set.
//
// Panels are `width` columns of a matrix, one row behind the other, the last panel filled up with zeros; strips are
// `rows` columns likewise.
#pragma once

#include <cstdint>

#include "device/cpu/isa/by_type.h"

namespace trainer::cpu {

// Memory that the next call reads: fetched while this one computes.
struct NextRead {
  const float* at;
  int64_t floats;
};

// Sums of products of pixels, for the weight gradient. T: float or Bf16. Packed pixels are words of 4 bytes: a float,
// or two pixels' bf16 of one column, the first in the lower half; `count` and ranges of packed pixels are in words,
// those that a source lacks are zero.
template <typename T>
struct PointwiseSums {
  // Panels or strips of words [first, end) of `count`, of `pixels` pixels: from[pixel * pixel_elements + column] to
  // to[panel][count][width], or with `rows` in place of width.
  void (*pack_pixels)(const T* from, int64_t pixel_elements, int64_t columns, int64_t pixels, int64_t count,
                      int64_t first, int64_t end, float* to);
  void (*pack_strips)(const T* from, int64_t pixel_elements, int64_t columns, int64_t pixels, int64_t count,
                      int64_t first, int64_t end, float* to);
  // sums[panel][strip * rows + row][width] += strips times panels over `count` words; units [first, end) of
  // panels * strips.
  void (*add_products)(const float* strips, const float* panels, int64_t strip_count, int64_t count, int64_t first,
                       int64_t end, float* sums, const NextRead (&next)[2]);
};

struct PointwiseTable {
  int64_t width, rows;

  // Panels [begin, end) of a matrix [steps, columns] whose elements lie at step * per_step + column * per_column:
  // to[panel][steps][width].
  void (*pack_panels)(const float* from, int64_t per_step, int64_t per_column, int64_t steps, int64_t columns,
                      int64_t begin, int64_t end, float* to);
  // y[row][columns] = x[row][steps] times the panels, with a bias (null: none) and relu (slope 1: none). `around`: y is
  // written around the caches, its rows begin at multiples of 64 bytes.
  void (*multiply)(const float* x, int64_t x_row, const float* panels, int64_t steps, int64_t columns, int64_t rows,
                   const float* bias, float slope, float* y, int64_t y_row, bool around, NextRead next);
  // Those of bf16 are there in v4 only, and for processors with AVX512_BF16.
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
