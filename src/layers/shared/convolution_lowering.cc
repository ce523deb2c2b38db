// Lowers a convolution of all bottoms with the same weights.
#include "layers/shared/convolution_lowering.h"

namespace trainer {
void lower_convolution(LayerContext& context, const ConvolutionWindow& window) {
  const caffe::ConvolutionParameter& param = context.param().convolution_param();
  check_equal_shapes(context);
  check_channels(context, window);
  const Shape output = convolved_shape(context, window, param.num_output());

  const int64_t outputs = param.num_output();
  std::vector<int64_t> weight_dims{outputs, context.shape(0)[window.axis] / window.attributes.group};
  weight_dims.insert(weight_dims.end(), window.kernel.begin(), window.kernel.end());
  const Shape weight_shape(weight_dims);
  const Value weights = reshape(context.parameter(weight_shape, &param.weight_filler()), op_weight_shape(weight_shape));
  const Value bias = param.bias_term() ? context.parameter(Shape{outputs}, &param.bias_filler()) : Value();

  for (int i = 0; i < context.bottoms(); ++i) {
    const Value x = reshape(context.bottom(i), folded_shape(context.shape(i), window.axis));
    context.set_top(i, reshape(convolution(x, weights, bias, op_attributes(window)), output));
  }
}

}  // namespace trainer
