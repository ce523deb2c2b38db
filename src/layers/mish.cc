// Mish: y = x * tanh(log(1 + e^x)). Any shape.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const Value x = context.bottom(0);
  context.set_top(0, x * tanh(softplus(x)));
}

REGISTER_LAYER(mish, .type = "Mish", .summary = "x times the tanh of its softplus", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "mish" type: "Mish" bottom: "x" top: "y" }
)");

}  // namespace
}  // namespace trainer
