// The geometry of convolution and pooling, read off an op and its descriptors.
#pragma once

#include <cstdint>

#include "runtime/device.h"
#include "runtime/window_geometry.h"

namespace trainer {

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
  // Whether the padded extents, and so all that windows reach, fit the 32 bits in which libraries count.
  bool fits_32_bits() const;
};

struct PoolGeometry {
  int64_t batch = 0, channels = 0;
  Windows windows;
};

Strides strides_of(const TensorDesc& desc);
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
