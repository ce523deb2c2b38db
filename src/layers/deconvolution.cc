// Deconvolution: the transpose of Convolution. Each x[n, c, s] adds W[c, o, k] * x[n, c, s] to
// y[n, o, s * stride - pad + k * dilation]; then b[o] is added.
//   blobs    W (C, num_output / group, kernel...), b (num_output) with bias_term
//   bottoms  any number, of the same shape; one top each; they share the weights
//   top      extent stride * (in - 1) + dilation * (kernel - 1) + 1 - 2 * pad
// With groups, the channels of a group contribute only to the outputs of that group.
#include "layers/layer.h"
#include "layers/shared/convolution_window.h"

namespace trainer {
namespace {

Shape top_shape(LayerContext& context, const ConvolutionWindow& window) {
  Shape shape = context.shape(0);
  shape[window.axis] = context.param().convolution_param().num_output();
  for (size_t i = 0; i < window.spatial_axes(); ++i) {
    const int axis = window.axis + 1 + static_cast<int>(i);
    const int64_t spread = window.attributes.stride[i] * (shape[axis] - 1) + window.reach(i);
    shape[axis] = spread - 2 * window.attributes.pad[i];
    if (shape[axis] < 1)
      context.fail(
          "convolution_param",
          fmt::format("the padding removes {} along axis {}, but without it the result of \"{}\" ({}) has only {}",
                      2 * window.attributes.pad[i], axis, context.param().bottom(0), context.shape(0).text(), spread),
          "use less padding, a larger kernel, or a larger stride");
  }
  return shape;
}

void lower(LayerContext& context) {
  const caffe::ConvolutionParameter& param = context.param().convolution_param();
  check_equal_shapes(context);
  const ConvolutionWindow window = convolution_window(context);
  check_channels(context, window);
  const Shape output = top_shape(context, window);

  const int64_t outputs = param.num_output();
  std::vector<int64_t> weight_dims{context.shape(0)[window.axis], outputs / param.group()};
  weight_dims.insert(weight_dims.end(), window.kernel.begin(), window.kernel.end());
  const Shape weight_shape(weight_dims);
  const Value weights = reshape(context.parameter(weight_shape, &param.weight_filler()), op_weight_shape(weight_shape));
  const Value bias = param.bias_term() ? context.parameter(Shape{outputs}, &param.bias_filler()) : Value();

  for (int i = 0; i < context.bottoms(); ++i) {
    const Value x = reshape(context.bottom(i), folded_shape(context.shape(i), window.axis));
    const Value y =
        convolution_input_gradient(x, weights, bias, folded_shape(output, window.axis), op_attributes(window));
    context.set_top(i, reshape(y, output));
  }
}

REGISTER_LAYER(deconvolution, .type = "Deconvolution", .summary = "transposed convolution; enlarges its input",
               .min_bottoms = 1, .max_bottoms = kAnyNumber, .min_tops = 1, .max_tops = kAnyNumber, .lower = lower,
               .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 3 dim: 5 } } }
layer { name: "deconv" type: "Deconvolution" bottom: "x" top: "y"
  convolution_param { num_output: 6 kernel_size: 4 pad: 1 stride: 2 group: 2
    weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -0.1 max: 0.1 } } }
)",
               .equal_blobs = true);

}  // namespace
}  // namespace trainer
