// The window of Convolution and related layers: kernel, stride, pad and dilation from convolution_param, one value for
// each spatial axis after the channel axis.
#pragma once

#include <vector>

#include "layers/layer.h"

namespace trainer {

struct ConvolutionWindow {
  int axis = 1;  // the channel axis of bottom 0
  std::vector<int64_t> kernel;
  ConvolutionAttributes attributes;  // stride, pad, dilation, group

  size_t spatial_axes() const { return kernel.size(); }
  // Pixels from the first to the last tap along spatial axis i.
  int64_t reach(size_t i) const { return attributes.dilation[i] * (kernel[i] - 1) + 1; }
};

// Checks the fields against each other and against the rank of bottom 0.
ConvolutionWindow convolution_window(LayerContext& context);

// Fails if the bottoms, which share the weights, differ in shape.
void check_equal_shapes(LayerContext& context);

// The shape of the convolution's top: bottom 0 with `channels` channels and the spatial extents
// floor((in + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1. Fails if the kernel does not fit.
Shape convolved_shape(LayerContext& context, const ConvolutionWindow& window, int64_t channels);

// Checks num_output and group against each other and the channels of bottom 0.
void check_channels(LayerContext& context, const ConvolutionWindow& window);

// Convolution ops take (N, C, S...) with at least one spatial axis. Joins the axes before the channel axis into N, and
// adds a spatial axis of extent 1 if there is none.
Shape folded_shape(const Shape& shape, int axis);
ConvolutionAttributes op_attributes(const ConvolutionWindow& window);
// The same for weights of shape (out, in, kernel...).
Shape op_weight_shape(const Shape& weights);

}  // namespace trainer
