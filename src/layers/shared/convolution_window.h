// The window of Convolution and its kin: kernel, stride, pad and dilation from convolution_param, one for
// each spatial axis behind the channel axis.
#pragma once

#include <vector>

#include "layers/layer.h"

namespace trainer {

struct ConvolutionWindow {
  int axis = 1;  // of channels in bottom 0
  std::vector<int64_t> kernel;
  ConvolutionAttributes attributes;  // stride, pad, dilation, group

  size_t spatial_axes() const { return kernel.size(); }
  // Pixels from the first to the last tap along spatial axis i.
  int64_t reach(size_t i) const { return attributes.dilation[i] * (kernel[i] - 1) + 1; }
};

// Checks the fields against each other and against the rank of bottom 0.
ConvolutionWindow convolution_window(LayerContext& context);

// All bottoms share the weights: they must have one shape.
void check_equal_shapes(LayerContext& context);

// The shape of bottom 0 with these channels and the extents that the window leaves of the spatial axes,
// floor((in + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1; fails where the kernel does not fit in.
Shape convolved_shape(LayerContext& context, const ConvolutionWindow& window, int64_t channels);

// Checks num_output and group against each other and the channels of bottom 0.
void check_channels(LayerContext& context, const ConvolutionWindow& window);

// For ops, which want (N, C, S...) with at least one spatial axis: the extents before the channel axis as
// one, and (N, C, 1) where there is no spatial axis.
Shape folded_shape(const Shape& shape, int axis);
ConvolutionAttributes op_attributes(const ConvolutionWindow& window);
// Weights of this shape (out, in, kernel...), likewise.
Shape op_weight_shape(const Shape& weights);

}  // namespace trainer
