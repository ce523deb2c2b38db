// The geometry of windows and tensors, always with three spatial axes: missing ones come first, with extent 1.
//
// Plain data without other headers, for kernels that are compiled separately.
#pragma once

#include <cstdint>

namespace trainer {

// Output o reads input o * stride - pad + k * dilation for k in [0, kernel), if that is in [0, in).
struct Windows {
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1}, pad[3] = {0, 0, 0}, dilation[3] = {1, 1, 1};

  int64_t in_count() const { return in[0] * in[1] * in[2]; }
  int64_t out_count() const { return out[0] * out[1] * out[2]; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
};

// Elements between neighbors of a tensor [N,C,spatial...] along each axis.
struct Strides {
  int64_t n = 0, c = 0, spatial[3] = {0, 0, 0};
};

}  // namespace trainer
