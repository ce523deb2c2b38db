// Convolution: y[n, o, t] = b[o] + sum over c, k of W[o, c, k] * x[n, c, t * stride - pad + k * dilation],
// zero padded, along up to 3 spatial axes after the channel axis `axis` (default 1).
//   blobs    W (num_output, C / group, kernel...), b (num_output) with bias_term
//   bottoms  any number, of the same shape; one top each; they share the weights
//   top      extent floor((in + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1
// With groups, the outputs of a group read only the channels of that group.
#include "layers/shared/convolution_lowering.h"

namespace trainer {
namespace {

void lower(LayerContext& context) { lower_convolution(context, convolution_window(context)); }

REGISTER_LAYER(convolution, .type = "Convolution", .summary = "learned filters over 1 to 3 spatial axes",
               .min_bottoms = 1, .max_bottoms = kAnyNumber, .min_tops = 1, .max_tops = kAnyNumber, .lower = lower,
               .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 5 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "y"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 stride: 2 group: 2
    weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -0.1 max: 0.1 } } }
)",
               .equal_blobs = true);

}  // namespace
}  // namespace trainer
