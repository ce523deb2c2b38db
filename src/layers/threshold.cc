// Threshold: y = 1 for x > threshold, else 0. Passes no gradient.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  context.set_top(0, greater(context.bottom(0), context.param().threshold_param().threshold()));
}

REGISTER_LAYER(threshold, .type = "Threshold", .summary = "1 above a threshold, else 0", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "threshold" type: "Threshold" bottom: "x" top: "y" threshold_param { threshold: 0.7 } }
)");

}  // namespace
}  // namespace trainer
