// The geometry of convolution and pooling, from an op and its descriptors.
#pragma once

#include <cstdint>

#include "runtime/device.h"
#include "runtime/window_geometry.h"

namespace trainer {

struct ConvolutionGeometry {
  int64_t batch = 0, group = 1;
  int64_t inputs = 0, outputs = 0;  // channels per group
  Windows windows;

  int64_t in_channels() const { return group * inputs; }
  int64_t out_channels() const { return group * outputs; }
  // The elements of one filter: inputs * taps.
  int64_t filter() const { return inputs * windows.taps(); }
  // Each output reads one input position and each input is read once: the operation is a matrix product.
  bool pointwise() const;
  // Whether the padded extents fit into 32 bits, which libraries use.
  bool fits_32_bits() const;
};

struct PoolGeometry {
  int64_t batch = 0, channels = 0;
  Windows windows;
};

Strides strides_of(const TensorDesc& desc);
// The spatial axes of [N,C,spatial...], right-aligned; missing axes keep the value in `extents`.
void set_extents(const Shape& shape, int64_t (&extents)[3]);

// Of the three convolution kinds. The descriptors of x, w and y are operands or results, depending on the kind.
ConvolutionGeometry convolution_geometry(const OpInstance& instance);
// The values of a convolution op that are x, w and y, or their gradients.
struct ConvolutionOperands {
  const TensorDesc* x;
  const TensorDesc* weights;
  const TensorDesc* y;
};
ConvolutionOperands convolution_operands(const OpInstance& instance);
// Why these are not channels-last images with row-major weights, or have no elements; or "".
std::string refuse_images(const ConvolutionOperands& operands);

// For the four pool kinds.
PoolGeometry pool_geometry(const OpInstance& instance);

}  // namespace trainer
