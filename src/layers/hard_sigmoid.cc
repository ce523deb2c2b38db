// HardSigmoid: y = min(max(0, x + 3), 6) / 6 (Howard et al., "Searching for MobileNetV3", 2019). Any shape.
#include "layers/shared/hard_sigmoid.h"
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) { context.set_top(0, hard_sigmoid(context.bottom(0))); }

REGISTER_LAYER(hard_sigmoid, .type = "HardSigmoid",
               .summary = "a sigmoid of straight lines: max(0, x + 3) / 6, at most 1", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "wide" type: "Power" bottom: "x" top: "wide" power_param { scale: 8 shift: -5 } }
layer { name: "sigmoid" type: "HardSigmoid" bottom: "wide" top: "y" }
)");

}  // namespace
}  // namespace trainer
