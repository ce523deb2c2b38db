// ReLU: y = max(0, x) + negative_slope * min(0, x). Any shape.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  context.set_top(0, relu(context.bottom(0), context.param().relu_param().negative_slope()));
}

REGISTER_LAYER(relu, .type = "ReLU", .summary = "max(0, x), with an optional slope below zero", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "relu" type: "ReLU" bottom: "x" top: "y" relu_param { negative_slope: 0.1 } }
)");

}  // namespace
}  // namespace trainer
