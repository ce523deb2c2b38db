// BatchNorm: y = (x - mean) / sqrt(variance + eps), with mean and variance over all axes except axis 1. It has no scale
// and no bias.
//
// Blobs: [0] the running sum of means (C), [1] the running sum of variances (C), [2] the weight of these sums (1). With
// global statistics (in TEST, by use_global_stats, or if the blobs are frozen) mean and variance are blobs 0 and 1
// divided by blob 2. Otherwise they are those of the batch, with the biased variance, and each pass updates the sums:
//   blob2 <- f * blob2 + 1, blob0 <- f * blob0 + mean, blob1 <- f * blob1 + variance * m / (m - 1),
// with f = moving_average_fraction and m elements per channel.
//
// With synchronize, the batch is that of all devices that train together.
#include "layers/layer.h"
#include "layers/shared/axis_view.h"
#include "layers/shared/standardize.h"

namespace trainer {
namespace {

void check(LayerContext& context) {
  const caffe::BatchNormParameter& param = context.param().batch_norm_param();
  if (context.shape(0).rank() < 2)
    context.fail("bottom", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), context.shape(0).text()),
                 "batch normalization needs a channel axis: at least 2 axes");
  check_eps(context, "batch_norm_param", param.eps());
  for (int i = 0; i < context.param().param_size(); ++i) {
    if (context.param().param(i).lr_mult() == 0) continue;
    context.fail("param", "the statistics of batch normalization are not learned",
                 "remove param, or give param { lr_mult: 0 } for each of the three blobs; to learn a scale and a bias, "
                 "add a Scale layer with bias_term: true after this layer");
  }
}

// Normalizes with the blobs; mean and variance are 0 if no batch has been counted.
Value normalized_global(LayerContext& context, Value mean_sum, Value variance_sum, Value weight, float eps) {
  const int rank = context.shape(0).rank();
  const Value zero = constant(context.graph(), Shape{1}, 0);
  const Value factor = select(equal(weight, 0.0f), zero, 1.0f / weight);
  const Value mean = along_axis(mean_sum * factor, rank, 1);
  const Value inverse = 1.0f / sqrt(variance_sum * factor + eps);
  return (context.bottom(0) - mean) * along_axis(inverse, rank, 1);
}

Value unbiased(const Standardized& batch, Value variance) {
  if (batch.joint_count) return variance * (batch.joint_count / (batch.joint_count - 1.0f));
  return variance * (batch.count > 1 ? batch.count / (batch.count - 1) : 1);
}

void lower(LayerContext& context) {
  check(context);
  const caffe::BatchNormParameter& param = context.param().batch_norm_param();
  const Value x = context.bottom(0);
  const int64_t channels = x.shape()[1];
  const Value mean_sum = context.statistic(Shape{channels});
  const Value variance_sum = context.statistic(Shape{channels});
  const Value weight = context.statistic(Shape{1});
  const bool global = param.has_use_global_stats() ? param.use_global_stats() : context.phase() == caffe::TEST;
  if (global || context.frozen_statistics())
    return context.set_top(0, normalized_global(context, mean_sum, variance_sum, weight, param.eps()));
  context.mixes_records("use_global_stats is false: it normalizes with the statistics of the batch");

  const std::shared_ptr<RankSums> ranks =
      param.synchronize() ? context.rank_sums("batch_norm_param.synchronize") : nullptr;
  const Standardized batch = standardize(x, axes_but(x.shape(), 1), param.eps(), ranks);
  context.set_top(0, batch.y);

  const float fraction = param.moving_average_fraction();
  context.write_statistic(0, mean_sum * fraction + reshape(batch.mean, Shape{channels}));
  context.write_statistic(1, variance_sum * fraction + unbiased(batch, reshape(batch.variance, Shape{channels})));
  context.write_statistic(2, weight * fraction + 1.0f);
}

REGISTER_LAYER(batch_norm, .type = "BatchNorm", .summary = "normalizes each channel over the batch", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "norm" type: "BatchNorm" bottom: "x" top: "y" }
)");

}  // namespace
}  // namespace trainer
