// Softmax: y = e^x / sum of e^x along `axis` (default 1).
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const int axis =
      context.canonical_axis(context.param().softmax_param().axis(), context.shape(0).rank(), "softmax_param.axis");
  context.set_top(0, softmax(context.bottom(0), axis));
}

REGISTER_LAYER(softmax, .type = "Softmax", .summary = "turns scores into probabilities", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "softmax" type: "Softmax" bottom: "x" top: "y" }
)");

}  // namespace
}  // namespace trainer
