// Erf: y = erf(x), the error function. Any shape.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) { context.set_top(0, erf(context.bottom(0))); }

REGISTER_LAYER(erf, .type = "Erf", .summary = "the error function", .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1,
               .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "erf" type: "Erf" bottom: "x" top: "y" }
)");

}  // namespace
}  // namespace trainer
