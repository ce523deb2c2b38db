// QuantileLoss: L = 1 / Z * sum of max(q * (t - x), (q - 1) * (t - x)), least if x is the quantile q of the targets t
// (Koenker and Bassett, "Regression Quantiles", 1978).
//   bottom 0  predictions x, for example (N), (N, C) or (N, C, H, W)
//   bottom 1  targets t, as many; or, for several quantiles, one for all channels of an item, for example (N, 1)
// With several values of `quantile`, channel c of bottom 0 predicts quantile c. Elements whose target, truncated to an
// integer, is ignore_label do not count. Both bottoms take gradients.
//
// loss_param.normalization sets Z: BATCH_SIZE (default) the first extent, FULL the number of all elements, VALID the
// number of elements that count, NONE 1.
#include "layers/shared/axis_view.h"
#include "layers/shared/constant_vector.h"
#include "layers/shared/element_targets.h"

namespace trainer {
namespace {

constexpr const char* kField = "quantile_loss_param.quantile";

// The quantile of each prediction, as a view that broadcasts along the channels.
Value quantiles(LayerContext& context, const std::vector<float>& values) {
  const Shape& shape = context.shape(0);
  if (values.size() == 1) return constant(context.graph(), Shape{}, values[0]);
  const int64_t channels = shape.rank() > 1 ? shape[1] : 1;
  if (static_cast<int64_t>(values.size()) != channels)
    context.fail(kField,
                 fmt::format("{} quantiles, but \"{}\" ({}) has {} channel{}", values.size(), context.param().bottom(0),
                             shape.text(), channels, channels == 1 ? "" : "s"),
                 "give one quantile, or one for each channel");
  return along_axis(constant_vector(context.graph(), values), shape.rank(), 1);
}

void lower(LayerContext& context) {
  const caffe::QuantileLossParameter& param = context.param().quantile_loss_param();
  std::vector<float> values(param.quantile().begin(), param.quantile().end());
  if (values.empty()) values = {0.5f};
  for (float value : values)
    if (!(value > 0 && value < 1))
      context.fail(kField, fmt::format("a quantile is {}", value), "quantiles must be greater than 0 and less than 1");
  const Value q = quantiles(context, values);
  const ElementTargets elements = element_targets(context, values.size() > 1);
  const Value d = elements.targets - elements.x;
  context.set_top(0, elements.mean(maximum(q * d, (q - 1.0f) * d)));
}

REGISTER_LAYER(quantile_loss, .type = "QuantileLoss", .summary = "the loss whose minimum is a quantile of the targets",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 dim: 1 } } }
layer { name: "loss" type: "QuantileLoss" bottom: "x" bottom: "t" top: "loss"
  quantile_loss_param { quantile: 0.1 quantile: 0.5 quantile: 0.9 } }
)",
               .loss = true);

}  // namespace
}  // namespace trainer
