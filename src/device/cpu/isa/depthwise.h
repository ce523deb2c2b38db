// Depthwise convolution by instruction set: one channel per group, dense channels-last tensors
// [N, spatial..., C], filters [taps, C].
#pragma once

#include "device/cpu/isa/by_type.h"
#include "device/cpu/isa/epilogue.h"
#include "runtime/windows.h"

namespace trainer::cpu {

// Whether the functions by rows support a geometry: 3x3 filters of 2-D images, undilated, with equal strides of 1 or 2.
inline bool depthwise_takes_rows(const PoolGeometry& g) {
  const Windows& w = g.windows;
  return w.in[0] == 1 && w.out[0] == 1 && w.kernel[0] == 1 && w.kernel[1] == 3 && w.kernel[2] == 3 &&
         w.dilation[1] == 1 && w.dilation[2] == 1 && w.stride[1] == w.stride[2] && w.stride[1] <= 2 &&
         g.channels % 16 == 0;
}

// T: float or Bf16.
template <typename T>
struct DepthwiseTable {
  // Computes the output pixels [begin, end), counted over [N, spatial...].
  void (*forward)(const PoolGeometry& g, const T* x, const float* filters, const ChannelEpilogue& epilogue, T* y,
                  int64_t begin, int64_t end);
  // Computes the input pixels [begin, end).
  void (*input_gradient)(const PoolGeometry& g, const T* gradient, const float* filters,
                         const ChannelEpilogue& epilogue, T* x, int64_t begin, int64_t end);
  // Adds the contributions of output pixels [begin, end) to `filters`.
  void (*weight_gradient)(const PoolGeometry& g, const T* x, const T* gradient, float* filters, int64_t begin,
                          int64_t end);
  // `forward` and `weight_gradient` for the rows [begin, end) of output pixels. `around`: y uses non-temporal stores
  // and is aligned to 64 bytes.
  void (*forward_rows)(const PoolGeometry& g, const T* x, const float* filters, const ChannelEpilogue& epilogue, T* y,
                       int64_t begin, int64_t end, bool around);
  void (*weight_gradient_rows)(const PoolGeometry& g, const T* x, const T* gradient, float* filters, int64_t begin,
                               int64_t end);
};

namespace isa_v2 {
extern const ByType<DepthwiseTable> kDepthwiseTables;
}
namespace isa_v3 {
extern const ByType<DepthwiseTable> kDepthwiseTables;
}
namespace isa_v4 {
extern const ByType<DepthwiseTable> kDepthwiseTables;
}

}  // namespace trainer::cpu
