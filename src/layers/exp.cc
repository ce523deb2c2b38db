// Exp: y = base^(shift + scale * x); base -1 means e.
#include <cmath>

#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::ExpParameter& param = context.param().exp_param();
  if (param.base() != -1 && !(param.base() > 0))
    context.fail("exp_param.base", fmt::format("base is {}", param.base()), "give a base above 0, or -1 for e");
  const float log_base = param.base() == -1 ? 1.0f : std::log(param.base());
  context.set_top(0, exp(context.bottom(0) * (param.scale() * log_base)) * std::exp(param.shift() * log_base));
}

REGISTER_LAYER(exp, .type = "Exp", .summary = "base^(shift + scale * x)", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "exp" type: "Exp" bottom: "x" top: "y" exp_param { base: 2 scale: 0.5 shift: 1 } }
)");

}  // namespace
}  // namespace trainer
