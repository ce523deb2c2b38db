// Normalize: y = scale * x / sqrt(sum of x^2 + eps), with the sum over the channels at each position, or with
// across_spatial over the whole item.
//   bottom  (N, C, ...)
//   blob    scale: (C), or a scalar with channel_shared; filled by scale_filler, default 1
#include "layers/layer.h"
#include "layers/shared/axis_view.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::NormalizeParameter& param = context.param().norm_param();
  const Value x = context.bottom(0);
  if (x.shape().rank() < 2)
    context.fail("bottom", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), x.shape().text()),
                 "it needs a channel axis: at least 2 axes");
  if (!(param.eps() >= 0))
    context.fail("norm_param.eps", fmt::format("eps is {}", param.eps()),
                 "it is added to a sum of squares: give a small positive number");
  const Shape blob = param.channel_shared() ? Shape{} : Shape{x.shape()[1]};
  const Value scale = context.parameter(blob, param.has_scale_filler() ? &param.scale_filler() : nullptr, 1);
  const Value squares = sum(x * x, param.across_spatial() ? axes_but(x.shape(), 0) : std::vector<int>{1});
  const Value y = x / sqrt(squares + param.eps());
  context.set_top(0, y * (param.channel_shared() ? scale : along_axis(scale, x.shape().rank(), 1)));
}

REGISTER_LAYER(normalize, .type = "Normalize", .summary = "divides by the L2 norm over channels, then scales",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "norm" type: "Normalize" bottom: "x" top: "y"
  norm_param { across_spatial: false channel_shared: false scale_filler { type: "constant" value: 20 } } }
)");

}  // namespace
}  // namespace trainer
