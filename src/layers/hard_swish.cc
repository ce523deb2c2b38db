// HardSwish: y = x * min(max(0, x + 3), 6) / 6 (Howard et al., "Searching for MobileNetV3", 2019). Any shape.
#include "layers/layer.h"
#include "layers/shared/hard_sigmoid.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const Value x = context.bottom(0);
  context.set_top(0, x * hard_sigmoid(x));
}

REGISTER_LAYER(hard_swish, .type = "HardSwish", .summary = "x times its hard sigmoid", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "wide" type: "Power" bottom: "x" top: "wide" power_param { scale: 8 shift: -5 } }
layer { name: "swish" type: "HardSwish" bottom: "wide" top: "y" }
)");

}  // namespace
}  // namespace trainer
