// The geometry of convolution and pooling, always with three spatial axes: missing ones lead with extent 1.
//
// Plain data, so that kernels that are compiled apart can take it.
#pragma once

#include <cstdint>

#include "runtime/device.h"

namespace trainer {

// Output o meets input o * stride - pad + k * dilation for k in [0, kernel), where that lies in [0, in).
struct Windows {
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1}, pad[3] = {0, 0, 0}, dilation[3] = {1, 1, 1};

  int64_t in_count() const { return in[0] * in[1] * in[2]; }
  int64_t out_count() const { return out[0] * out[1] * out[2]; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
};

struct ConvolutionGeometry {
  int64_t batch = 0, group = 1;
  int64_t inputs = 0, outputs = 0;  // channels of one group
  Windows windows;

  int64_t in_channels() const { return group * inputs; }
  int64_t out_channels() const { return group * outputs; }
  // Elements of one filter of one group: inputs * taps.
  int64_t filter() const { return inputs * windows.taps(); }
  // One window at every place, each input once: the operation is a matrix product.
  bool pointwise() const;
};

struct PoolGeometry {
  int64_t batch = 0, channels = 0;
  Windows windows;
};

// Elements between neighbours of a tensor [N,C,spatial...], by the same three spatial axes.
struct Steps {
  int64_t n = 0, c = 0, spatial[3] = {0, 0, 0};
};
Steps steps_of(const TensorDesc& desc);
// The last spatial axes of [N,C,spatial...]; `extents` keeps its value where there is none.
void set_extents(const Shape& shape, int64_t (&extents)[3]);

// Of the three convolution kinds; the descriptors are those of x, w and y, wherever the op has them.
ConvolutionGeometry convolution_geometry(const OpInstance& instance);
// Where a convolution op holds x (or its gradient), w (or its gradient) and y (or its gradient).
struct ConvolutionOperands {
  const TensorDesc* x;
  const TensorDesc* weights;
  const TensorDesc* y;
};
ConvolutionOperands convolution_operands(const OpInstance& instance);
// Why these are not images, channels-last, with row-major weights, all of them with elements; or "".
std::string refuse_images(const ConvolutionOperands& operands);

// Of the four pool kinds.
PoolGeometry pool_geometry(const OpInstance& instance);

}  // namespace trainer
