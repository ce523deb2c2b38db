// ELU: y = x for x > 0, alpha * (e^x - 1) otherwise.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const Value x = context.bottom(0);
  // The bound 0 keeps the branch that is not selected finite.
  const Value below = expm1(minimum(x, 0.0f)) * context.param().elu_param().alpha();
  context.set_top(0, select(greater(x, 0.0f), x, below));
}

REGISTER_LAYER(elu, .type = "ELU", .summary = "x above 0, alpha * (e^x - 1) below", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "elu" type: "ELU" bottom: "x" top: "y" elu_param { alpha: 0.5 } }
)");

}  // namespace
}  // namespace trainer
