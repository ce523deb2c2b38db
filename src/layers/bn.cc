// BN: batch normalization with scale and shift in one layer, as in two forks of Caffe. Bottom (N, C, ...), all blobs
// (1, C, 1, 1).
//
// SegNet, selected by scale_filler, shift_filler or bn_mode; blobs: scale, shift.
//   LEARN, in both phases   y = scale * (x - mean) / sqrt(variance + 1e-9) + shift, with statistics of the batch
//   INFERENCE               y = scale * x + shift
// PSPNet, selected by slope_filler, bias_filler, momentum, eps or frozen, and by default; blobs: slope, bias, running
// mean (initially 0), running variance (initially 1).
//   y = slope * (x - mean) / sqrt(variance + eps) + bias, with statistics of the batch in TRAIN, the running ones in
//   TEST running <- momentum * running + (1 - momentum) * that of the batch, with the biased variance
// With `frozen` TRAIN uses the running statistics too, and no blob changes; also if the solver freezes these blobs.
#include "layers/shared/axis_view.h"
#include "layers/shared/standardize.h"

namespace trainer {
namespace {

constexpr float kSegNetEps = 1e-9f;

Value per_channel(Value blob, int rank) { return along_axis(blob, rank, 1); }

void lower_segnet(LayerContext& context, const Shape& blob) {
  const caffe::BNParameter& param = context.param().bn_param();
  const Value x = context.bottom(0);
  const int rank = x.shape().rank();
  const Value scale = context.parameter(blob, param.has_scale_filler() ? &param.scale_filler() : nullptr, 1);
  const Value shift = context.parameter(blob, param.has_shift_filler() ? &param.shift_filler() : nullptr, 0);
  Value y = x;
  if (param.bn_mode() == caffe::BNParameter::LEARN) {
    y = standardize(x, axes_but(x.shape(), 1), kSegNetEps).y;
    context.mixes_records("bn_mode is LEARN: it normalizes with the statistics of the batch");
  }
  context.set_top(0, y * per_channel(scale, rank) + per_channel(shift, rank));
}

void lower_pspnet(LayerContext& context, const Shape& blob) {
  const caffe::BNParameter& param = context.param().bn_param();
  const Value x = context.bottom(0);
  const int rank = x.shape().rank();
  check_eps(context, "bn_param", param.eps());
  if (!(param.momentum() >= 0 && param.momentum() <= 1))
    context.fail("bn_param.momentum", fmt::format("momentum is {}", param.momentum()),
                 "it is the weight of the old statistics: from 0 to 1");
  const auto learned = [&](bool given, const caffe::FillerParameter& filler, float fallback) {
    if (param.frozen())
      return context.statistic(blob, given && filler.type() == "constant" ? filler.value() : fallback);
    return context.parameter(blob, given ? &filler : nullptr, fallback);
  };
  const Value slope = learned(param.has_slope_filler(), param.slope_filler(), 1);
  const Value bias = learned(param.has_bias_filler(), param.bias_filler(), 0);
  const Value mean = context.statistic(blob), variance = context.statistic(blob, 1);
  Value y;
  if (param.frozen() || context.phase() == caffe::TEST || context.frozen_statistics()) {
    y = (x - per_channel(mean, rank)) / per_channel(sqrt(variance + param.eps()), rank);
  } else {
    const Standardized batch = standardize(x, axes_but(x.shape(), 1), param.eps());
    y = batch.y;
    context.write_statistic(2, mean * param.momentum() + reshape(batch.mean, blob) * (1 - param.momentum()));
    context.write_statistic(3, variance * param.momentum() + reshape(batch.variance, blob) * (1 - param.momentum()));
  }
  context.set_top(0, y * per_channel(slope, rank) + per_channel(bias, rank));
}

void lower(LayerContext& context) {
  const caffe::BNParameter& param = context.param().bn_param();
  const Shape& input = context.shape(0);
  if (input.rank() < 2)
    context.fail("bottom", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), input.text()),
                 "batch normalization needs a channel axis: at least 2 axes");
  const bool segnet = param.has_scale_filler() || param.has_shift_filler() || param.has_bn_mode();
  const bool pspnet = param.has_slope_filler() || param.has_bias_filler() || param.has_momentum() || param.has_eps() ||
                      param.has_frozen();
  if (segnet && pspnet)
    context.fail("bn_param", "fields of two kinds of BN",
                 "give scale_filler, shift_filler, bn_mode (SegNet: 2 blobs), or slope_filler, bias_filler, "
                 "momentum, eps, frozen (PSPNet: 4 blobs)");
  const Shape blob{1, input[1], 1, 1};
  if (segnet) return lower_segnet(context, blob);
  lower_pspnet(context, blob);
}

REGISTER_LAYER(bn, .type = "BN", .summary = "batch normalization with scale and shift, as in SegNet and PSPNet",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "bn" type: "BN" bottom: "x" top: "y" bn_param { momentum: 0.95 } }
layer { name: "segnet" type: "BN" bottom: "x" top: "z" bn_param { scale_filler { type: "constant" value: 2 } } }
)");

}  // namespace
}  // namespace trainer
