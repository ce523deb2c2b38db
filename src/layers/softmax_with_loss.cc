// SoftmaxWithLoss: the cross entropy of labels and p, the softmax of the scores along softmax_param.axis (default 1).
//   bottom 0  scores, for example (N, C) or (N, C, H, W)
//   bottom 1  labels, one for each element of the scores without the class axis; or soft labels, as many as scores: the
//             weight q of each class
//   top 0     L = -1 / Z * sum of log(max(p[label], FLT_MIN)) over the labels that are not loss_param.ignore_label
//   top 1     p, optional
// loss_param.normalization sets Z: VALID (default) the number of labels that count, FULL the number of all labels,
// BATCH_SIZE the product of the extents before the class axis, NONE 1. The gradient is (p - onehot) / Z, and 0 at
// ignored labels.
//
// For soft labels L = -1 / Z * sum of q log p, and the gradient is (p * sum of q - q) / Z. The same formula has
// label_smoothing e and class_weight w, as PyTorch's CrossEntropyLoss: a label is q = w * ((1 - e) * onehot + e / C), a
// soft label becomes w * ((1 - e) * q + e / C). With weights and labels, VALID divides by the sum of w[label] over the
// labels that count; soft labels count by their number in any case.
#include <cfloat>

#include "layers/layer.h"
#include "layers/shared/class_scores.h"
#include "layers/shared/class_weights.h"

namespace trainer {
namespace {

constexpr const char* kAxis = "softmax_param.axis";

struct Probabilities {
  Value loss, p;
};

Probabilities label_loss(Value x, const LabelledScores& scores, Value divisor) {
  const Value p = softmax(x, scores.axis);
  Value surprise = -log(maximum(scores.at_label(p), FLT_MIN));
  if (scores.counted) surprise = surprise * scores.counted;
  const Value loss = with_gradient(total(surprise) / divisor, {x}, [=](Value g) -> std::vector<Value> {
    const Value difference = (p - scores.one_hot) * (g / divisor);
    return {scores.counted ? difference * scores.counted : difference};
  });
  return {loss, p};
}

Probabilities weighted_loss(Value x, int axis, Value q, Value divisor) {
  const Value log_p = log_softmax(x, axis);
  return {total(-(q * log_p)) / divisor, exp(log_p)};
}

float label_smoothing(LayerContext& context) {
  const float smoothing = context.param().loss_param().label_smoothing();
  if (!(smoothing >= 0 && smoothing < 1))
    context.fail("loss_param.label_smoothing", fmt::format("label_smoothing is {}", smoothing),
                 "it must be at least 0 and less than 1, for example 0.1");
  return smoothing;
}

// Bottom 1 as soft labels; sets the extents of `scores`.
Value soft_labels(LayerContext& context, LabelledScores* scores) {
  if (context.param().loss_param().has_ignore_label())
    context.fail("loss_param.ignore_label",
                 fmt::format("\"{}\" ({}) holds a weight for each class, so no label can be ignored",
                             context.param().bottom(1), context.shape(1).text()),
                 "remove ignore_label; weights of 0 count nothing");
  const Shape &shape = context.shape(0), &given = context.shape(1);
  const int axis = scores->axis;
  // A data layer checks the rows of its batches.
  if (axis > 0 && given.rank() > axis && given[axis] == shape[axis] && given.count(axis) == shape.count(axis))
    context.require_labels(1, {shape[axis], std::nullopt, "", axis});
  scores->outer = shape.count(0, axis);
  scores->inner = shape.count(axis + 1);
  return stop_gradient(reshape(context.bottom(1), shape));
}

// The sum of the weights of the labels that count.
Value sum_of_weights(const LabelledScores& scores, Value weights) {
  const Value of_labels = scores.at_label(weights);
  return total(scores.counted ? of_labels * scores.counted : of_labels);
}

void lower(LayerContext& context) {
  const caffe::LossParameter& param = context.param().loss_param();
  const Value x = context.bottom(0);
  const Shape& shape = x.shape();
  LabelledScores scores;
  scores.axis = context.canonical_axis(context.param().softmax_param().axis(), shape.rank(), kAxis);
  const float smoothing = label_smoothing(context);
  const bool soft = shape[scores.axis] > 1 && context.shape(1).count() == shape.count();
  if (soft && param.balance_classes())
    context.fail("loss_param.balance_classes",
                 fmt::format("\"{}\" ({}) holds a weight for each class, so labels cannot be counted",
                             context.param().bottom(1), context.shape(1).text()),
                 "give class_weight instead, or labels without mix");
  const Value weights = class_weights(context, shape, scores.axis);
  const auto mode = normalization_mode(param, caffe::LossParameter::VALID);
  Value q;
  if (soft) {
    q = soft_labels(context, &scores);
  } else {
    const auto ignore = param.has_ignore_label() ? std::optional<int>(param.ignore_label()) : std::nullopt;
    scores = labelled_scores(context, scores.axis, kAxis, ignore);
    q = scores.one_hot;
  }
  const bool by_weight = !soft && weights && mode == caffe::LossParameter::VALID;
  const Value sum = by_weight ? sum_of_weights(scores, weights) : Value();
  const Value divisor =
      by_weight ? select(sum, sum, constant(context.graph(), Shape{}, 1)) : loss_divisor(context, scores, mode);
  Probabilities result;
  if (!soft && !weights && smoothing == 0) {
    result = label_loss(x, scores, divisor);
  } else {
    if (smoothing > 0) q = q * (1 - smoothing) + smoothing / static_cast<float>(shape[scores.axis]);
    if (weights) q = q * weights;
    if (scores.counted) q = q * scores.counted;
    result = weighted_loss(x, scores.axis, q, divisor);
  }
  if (by_weight) context.set_divisor(0, sum, result.loss * divisor);
  context.set_top(0, result.loss);
  if (context.tops() > 1) context.set_top(1, result.p);
}

REGISTER_LAYER(softmax_with_loss, .type = "SoftmaxWithLoss", .summary = "the cross entropy of scores and labels",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "scores" type: "Input" top: "scores" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } data_filler { value: 2 } } }
layer {
  name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss"
  softmax_param { axis: 1 }
}
)",
               .loss = true, .label_bottoms = {1}, .class_weights = true);

}  // namespace
}  // namespace trainer
