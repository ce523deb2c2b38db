// SmoothL1Loss: L = 1 / N * sum of w_out * f(w_in * (a - b)), with s = sigma and
//   f(d) = (s * d)^2 / 2 for |d| < 1 / s^2, |d| - 1 / (2 s^2) otherwise
//   bottoms  a, b (N, ...), or a, b, w_in, w_out, all of the same shape; the weights default to 1 and take no gradient
//   top      L, a scalar
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const float sigma = context.param().smooth_l1_loss_param().sigma();
  const Shape& shape = context.shape(0);
  if (context.bottoms() == 3) context.fail("bottom", "3 bottoms", "give both inside and outside weights, or neither");
  if (!(sigma > 0))
    context.fail("smooth_l1_loss_param.sigma", fmt::format("sigma is {}", sigma), "it must be positive");
  if (shape.rank() < 1) context.fail("bottom[0]", "a scalar has no items to average over");
  for (int i = 1; i < context.bottoms(); ++i)
    if (context.shape(i) != shape)
      context.fail(fmt::format("bottom[{}]", i),
                   fmt::format("bottom {} \"{}\" is {}, but bottom 0 \"{}\" is {}", i, context.param().bottom(i),
                               context.shape(i).text(), context.param().bottom(0), shape.text()),
                   "all bottoms must have the same shape");
  const bool weighted = context.bottoms() == 4;
  const float squared = sigma * sigma;
  Value d = context.bottom(0) - context.bottom(1);
  if (weighted) d = stop_gradient(context.bottom(2)) * d;
  const Value size = abs(d);
  Value f = select(greater(1 / squared - size, 0.0f), (0.5f * squared) * (d * d), size - 0.5f / squared);
  if (weighted) f = stop_gradient(context.bottom(3)) * f;
  context.set_top(0, total(f) / static_cast<float>(shape[0]));
}

REGISTER_LAYER(smooth_l1_loss, .type = "SmoothL1Loss",
               .summary = "a loss that is quadratic near 0 and linear elsewhere", .min_bottoms = 2, .max_bottoms = 4,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "a" top: "b" input_param { shape { dim: 3 dim: 8 } } }
layer { name: "w" type: "Input" top: "inside" top: "outside" input_param { shape { dim: 3 dim: 8 } } }
layer { name: "loss" type: "SmoothL1Loss" bottom: "a" bottom: "b" bottom: "inside" bottom: "outside" top: "loss"
  smooth_l1_loss_param { sigma: 1.5 } }
)",
               .loss = true, .label_bottoms = {2, 3});

}  // namespace
}  // namespace trainer
