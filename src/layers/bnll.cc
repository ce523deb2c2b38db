// BNLL, the binomial normal log likelihood, also called Softplus: y = log(1 + e^x). Any shape.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) { context.set_top(0, softplus(context.bottom(0))); }

REGISTER_LAYER(bnll, .type = "BNLL", .summary = "log(1 + e^x)", .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1,
               .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "bnll" type: "BNLL" bottom: "x" top: "y" }
)");
REGISTER_LAYER(softplus, .type = "Softplus", .summary = "log(1 + e^x)", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "softplus" type: "Softplus" bottom: "x" top: "y" }
)");

}  // namespace
}  // namespace trainer
