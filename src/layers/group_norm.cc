// GroupNorm: y = gamma_c * (x - mean) / sqrt(variance + eps) + beta_c, with mean and biased variance of each item over
// a group of channels and all axes after the channel axis.
//   bottom  (N, C, ...), C a multiple of groups
//   blobs   gamma, beta (C), with affine
#include "layers/shared/axis_view.h"
#include "layers/shared/standardize.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::GroupNormParameter& param = context.param().group_norm_param();
  check_eps(context, "group_norm_param", param.eps());
  const Shape& input = context.shape(0);
  const int64_t groups = param.groups();
  if (input.rank() < 2)
    context.fail("bottom", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), input.text()),
                 "group normalization needs a channel axis: at least 2 axes");
  if (groups < 1 || input[1] % groups != 0)
    context.fail("group_norm_param.groups", fmt::format("{} groups of {} channels", groups, input[1]),
                 fmt::format("the channels of \"{}\" ({}) must be a multiple of groups (default {})",
                             context.param().bottom(0), input.text(), caffe::GroupNormParameter().groups()));
  const Value grouped = reshape(context.bottom(0), Shape{input[0], groups, input.count(1) / groups});
  const Value y = reshape(standardize(grouped, {2}, param.eps()).y, input);
  if (!param.affine()) return context.set_top(0, y);
  const Value gamma = context.parameter(Shape{input[1]}, nullptr, 1),
              beta = context.parameter(Shape{input[1]}, nullptr, 0);
  context.set_top(0, y * along_axis(gamma, input.rank(), 1) + along_axis(beta, input.rank(), 1));
}

REGISTER_LAYER(group_norm, .type = "GroupNorm", .summary = "normalizes groups of channels of each item",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 6 dim: 3 dim: 4 } } }
layer { name: "norm" type: "GroupNorm" bottom: "x" top: "y" group_norm_param { groups: 3 } }
)");

}  // namespace
}  // namespace trainer
