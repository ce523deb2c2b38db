// Lowers a convolution of all bottoms with one set of weights; shared by the layers whose groups differ.
#include "layers/convolution_lowering.h"

namespace trainer {
namespace {

Shape top_shape(LayerContext& context, const ConvolutionWindow& window) {
  Shape shape = context.shape(0);
  shape[window.axis] = context.param().convolution_param().num_output();
  for (size_t i = 0; i < window.spatial_axes(); ++i) {
    const int axis = window.axis + 1 + static_cast<int>(i);
    const int64_t padded = shape[axis] + 2 * window.attributes.pad[i];
    if (padded < window.reach(i))
      context.fail(
          "convolution_param",
          fmt::format("the kernel spans {} along axis {}, where \"{}\" ({}) with its padding has {}",
                      window.reach(i), axis, context.param().bottom(0), context.shape(0).text(), padded),
          "use a smaller kernel, more padding, or a larger input");
    shape[axis] = (padded - window.reach(i)) / window.attributes.stride[i] + 1;
  }
  return shape;
}

}  // namespace

void lower_convolution(LayerContext& context, const ConvolutionWindow& window) {
  const caffe::ConvolutionParameter& param = context.param().convolution_param();
  for (int i = 1; i < context.bottoms(); ++i)
    if (context.shape(i) != context.shape(0))
      context.fail(
          "bottom",
          fmt::format("bottom {} \"{}\" is {}, but bottom 0 \"{}\" is {}", i, context.param().bottom(i),
                      context.shape(i).text(), context.param().bottom(0), context.shape(0).text()),
          "all inputs must have the same shape: they share the weights");
  check_channels(context, window);
  const Shape output = top_shape(context, window);

  const int64_t outputs = param.num_output();
  std::vector<int64_t> weight_dims{outputs, context.shape(0)[window.axis] / window.attributes.group};
  weight_dims.insert(weight_dims.end(), window.kernel.begin(), window.kernel.end());
  const Shape weight_shape(weight_dims);
  const Value weights =
      reshape(context.parameter(weight_shape, &param.weight_filler()), op_weight_shape(weight_shape));
  const Value bias = param.bias_term() ? context.parameter(Shape{outputs}, &param.bias_filler()) : Value();

  for (int i = 0; i < context.bottoms(); ++i) {
    const Value x = reshape(context.bottom(i), folded_shape(context.shape(i), window.axis));
    context.set_top(i, reshape(convolution(x, weights, bias, op_attributes(window)), output));
  }
}

}  // namespace trainer
