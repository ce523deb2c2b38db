// GELU: y = x * Phi(x) with the distribution function of the standard normal, Phi(x) = (1 + erf(x / sqrt(2))) / 2; with
// `approximate`, Phi(x) = (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2. Any shape.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const Value x = context.bottom(0);
  const Value s = context.param().gelu_param().approximate() ? tanh(0.7978845608f * (x + 0.044715f * x * x * x))
                                                             : erf(x * 0.7071067812f);
  context.set_top(0, 0.5f * x * (1.0f + s));
}

REGISTER_LAYER(gelu, .type = "GELU", .summary = "x times the normal distribution function of x", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "gelu" type: "GELU" bottom: "x" top: "y" }
layer { name: "tanh" type: "GELU" bottom: "x" top: "z" gelu_param { approximate: true } }
)");

}  // namespace
}  // namespace trainer
