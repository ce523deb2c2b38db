// AbsVal: y = |x|. The gradient is 0 at 0.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) { context.set_top(0, abs(context.bottom(0))); }

REGISTER_LAYER(abs_val, .type = "AbsVal", .summary = "|x|", .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1,
               .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "abs" type: "AbsVal" bottom: "x" top: "y" }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
