// Depthwise convolution by instruction set: one channel per group, dense channels-last tensors
// [N, spatial..., C], filters [taps, C].
#pragma once

#include "device/cpu/windows.h"

namespace trainer::cpu {

struct DepthwiseTable {
  // Output places [begin, end), counted over [N, spatial...].
  void (*forward)(const PoolGeometry& g, const float* x, const float* filters, float* y, int64_t begin,
                  int64_t end);
  // Input places [begin, end).
  void (*input_gradient)(const PoolGeometry& g, const float* gradient, const float* filters, float* x,
                         int64_t begin, int64_t end);
  // Adds what output places [begin, end) contribute to `filters`.
  void (*weight_gradient)(const PoolGeometry& g, const float* x, const float* gradient, float* filters,
                          int64_t begin, int64_t end);
};

namespace isa_v2 {
extern const DepthwiseTable kDepthwiseTable;
}
namespace isa_v3 {
extern const DepthwiseTable kDepthwiseTable;
}
namespace isa_v4 {
extern const DepthwiseTable kDepthwiseTable;
}

}  // namespace trainer::cpu
