// Swish: y = x * sigmoid(beta * x).
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const Value x = context.bottom(0);
  context.set_top(0, x * sigmoid(x * context.param().swish_param().beta()));
}

REGISTER_LAYER(swish, .type = "Swish", .summary = "x * sigmoid(beta * x)", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "swish" type: "Swish" bottom: "x" top: "y" swish_param { beta: 1.5 } }
)");

}  // namespace
}  // namespace trainer
