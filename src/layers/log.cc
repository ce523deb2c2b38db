// Log: y = log(shift + scale * x) to base `base`; base -1 means e. NaN if the argument is negative.
#include <cmath>

#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::LogParameter& param = context.param().log_param();
  if (param.base() != -1 && (!(param.base() > 0) || param.base() == 1))
    context.fail("log_param.base", fmt::format("base is {}", param.base()),
                 "give a base above 0 other than 1, or -1 for e");
  const float log_base = param.base() == -1 ? 1.0f : std::log(param.base());
  context.set_top(0, log(context.bottom(0) * param.scale() + param.shift()) / log_base);
}

REGISTER_LAYER(log, .type = "Log", .summary = "log of shift + scale * x", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "log" type: "Log" bottom: "x" top: "y" log_param { base: 2 scale: 0.5 shift: 1 } }
)");

}  // namespace
}  // namespace trainer
