// DepthwiseConvolution, in some forks of Caffe ConvolutionDepthwise: Convolution with one group per channel; ignores
// `group`.
//   blobs  W (num_output, 1, kernel...), b (num_output) with bias_term; num_output a multiple of the channels
#include "layers/shared/convolution_lowering.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  ConvolutionWindow window = convolution_window(context);
  const caffe::ConvolutionParameter& param = context.param().convolution_param();
  const int64_t channels = context.shape(0)[window.axis];
  if (param.has_group() && param.group() != channels)
    context.warn("convolution_param.group",
                 fmt::format("group: {} has no effect: \"{}\" has {} channels, each a separate group", param.group(),
                             context.param().bottom(0), channels));
  window.attributes.group = channels;
  lower_convolution(context, window);
}

REGISTER_LAYER(depthwise_convolution, .type = "DepthwiseConvolution",
               .summary = "a separate convolution of each channel", .min_bottoms = 1, .max_bottoms = kAnyNumber,
               .min_tops = 1, .max_tops = kAnyNumber, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 5 dim: 4 } } }
layer { name: "conv" type: "DepthwiseConvolution" bottom: "x" top: "y"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
)",
               .equal_blobs = true);
REGISTER_LAYER(convolution_depthwise, .type = "ConvolutionDepthwise",
               .summary = "another name for DepthwiseConvolution", .min_bottoms = 1, .max_bottoms = kAnyNumber,
               .min_tops = 1, .max_tops = kAnyNumber, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 5 dim: 4 } } }
layer { name: "conv" type: "ConvolutionDepthwise" bottom: "x" top: "y"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 weight_filler { type: "xavier" } } }
)",
               .equal_blobs = true);

}  // namespace
}  // namespace trainer
