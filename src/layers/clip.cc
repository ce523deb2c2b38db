// Clip: y = max(min, min(x, max)). The gradient passes where min <= x <= max.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::ClipParameter& param = context.param().clip_param();
  if (!context.param().has_clip_param())
    context.fail("", "clip_param is missing", "give clip_param { min: ... max: ... }");
  if (!(param.min() <= param.max()))
    context.fail("clip_param.min", fmt::format("min is {}, max is {}", param.min(), param.max()),
                 "min must not be larger than max");
  context.set_top(0, maximum(minimum(context.bottom(0), param.max()), param.min()));
}

REGISTER_LAYER(clip, .type = "Clip", .summary = "max(min, min(x, max))", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "clip" type: "Clip" bottom: "x" top: "y" clip_param { min: 0.5 max: 0.97 } }
)");

}  // namespace
}  // namespace trainer
