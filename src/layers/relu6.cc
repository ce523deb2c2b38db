// ReLU6: y = min(max(0, x), 6). Any shape. At 6 the gradient is 1, at 0 it is 0.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) { context.set_top(0, minimum(relu(context.bottom(0)), 6.0f)); }

REGISTER_LAYER(relu6, .type = "ReLU6", .summary = "max(0, x), at most 6", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "wide" type: "Power" bottom: "x" top: "wide" power_param { scale: 20 shift: -10 } }
layer { name: "relu" type: "ReLU6" bottom: "wide" top: "y" }
)");

}  // namespace
}  // namespace trainer
