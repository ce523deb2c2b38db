// Eltwise: combines bottoms of the same shape element by element.
//   SUM   y = sum of coeff_i * x_i (default coeff 1)
//   PROD  y = product of the x_i; with stable_prod_grad: false the gradient of x_i is g * y / x_i
//   MAX   y = max of the x_i. One bottom takes the gradient: on a tie between bottoms 0 and 1 it is bottom 1; a later
//         bottom takes it only if it is strictly greater than all before it
#include "layers/layer.h"

namespace trainer {
namespace {

Value product(const std::vector<Value>& x, bool stable_gradient) {
  Value y = x[0];
  for (size_t i = 1; i < x.size(); ++i) y = y * x[i];
  if (stable_gradient) return y;
  return with_gradient(y, x, [=](Value g) {
    std::vector<Value> gradients;
    for (const Value& operand : x) gradients.push_back(g * (y / operand));
    return gradients;
  });
}

Value maximum_of(const std::vector<Value>& x) {
  Value y = select(greater(x[0], x[1]), x[0], x[1]);
  for (size_t i = 2; i < x.size(); ++i) y = select(greater(x[i], y), x[i], y);
  return y;
}

void lower(LayerContext& context) {
  const caffe::EltwiseParameter& param = context.param().eltwise_param();
  std::vector<Value> x;
  for (int i = 0; i < context.bottoms(); ++i) {
    if (context.shape(i) != context.shape(0))
      context.fail("bottom",
                   fmt::format("bottom {} \"{}\" is {}, but bottom 0 \"{}\" is {}", i, context.param().bottom(i),
                               context.shape(i).text(), context.param().bottom(0), context.shape(0).text()),
                   "all bottoms of an Eltwise layer must have the same shape");
    x.push_back(context.bottom(i));
  }
  if (param.coeff_size() != 0 && param.coeff_size() != context.bottoms())
    context.fail("eltwise_param.coeff", fmt::format("{} coeff for {} bottoms", param.coeff_size(), context.bottoms()),
                 "give one coeff for each bottom, or none");
  switch (param.operation()) {
    case caffe::EltwiseParameter::PROD:
      if (param.coeff_size() != 0)
        context.fail("eltwise_param.coeff", "coeff with operation: PROD", "coeff is only for operation: SUM");
      return context.set_top(0, product(x, param.stable_prod_grad()));
    case caffe::EltwiseParameter::MAX: return context.set_top(0, maximum_of(x));
    case caffe::EltwiseParameter::SUM: break;
  }
  Value y;
  for (int i = 0; i < context.bottoms(); ++i) {
    const Value term = x[static_cast<size_t>(i)] * (param.coeff_size() > 0 ? param.coeff(i) : 1.0f);
    y = y ? y + term : term;
  }
  context.set_top(0, y);
}

REGISTER_LAYER(eltwise, .type = "Eltwise", .summary = "sum, product or maximum of blobs of the same shape",
               .min_bottoms = 2, .max_bottoms = kAnyNumber, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "a" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "eltwise" type: "Eltwise" bottom: "a" bottom: "b" top: "y"
  eltwise_param { operation: SUM coeff: 1 coeff: -0.5 } }
)");

}  // namespace
}  // namespace trainer
