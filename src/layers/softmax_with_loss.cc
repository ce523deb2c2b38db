// SoftmaxWithLoss: the mean of -log p[label], p the softmax of the scores along softmax_param.axis (default 1).
//   bottom 0  scores, for example (N, C) or (N, C, H, W)
//   bottom 1  labels, one for each element of the scores without the class axis; or soft labels, as many as scores: the
//             weight q of each class
//   top 0     L = -1 / Z * sum of log(max(p[label], FLT_MIN)) over the labels that are not loss_param.ignore_label
//   top 1     p, optional
// loss_param.normalization sets Z: VALID (default) the number of labels that count, FULL the number of all labels,
// BATCH_SIZE the product of the extents before the class axis, NONE 1. The gradient is (p - onehot) / Z, and 0 at
// ignored labels. For soft labels L = -1 / Z * sum of q log p, and the gradient is (p * sum of q - q) / Z.
#include <cfloat>

#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

constexpr const char* kAxis = "softmax_param.axis";

void lower_soft_labels(LayerContext& context, int axis) {
  const caffe::LossParameter& param = context.param().loss_param();
  if (param.has_ignore_label())
    context.fail("loss_param.ignore_label",
                 fmt::format("\"{}\" ({}) holds a weight for each class, so no label can be ignored",
                             context.param().bottom(1), context.shape(1).text()),
                 "remove ignore_label; weights of 0 count nothing");
  const Shape &scored = context.shape(0), &given = context.shape(1);
  // A data layer checks the rows of its batches.
  if (axis > 0 && given.rank() > axis && given[axis] == scored[axis] && given.count(axis) == scored.count(axis))
    context.require_labels(1, {scored[axis], std::nullopt, "", axis});
  const Value x = context.bottom(0), weights = reshape(context.bottom(1), x.shape());
  LabelledScores scores;
  scores.outer = x.shape().count(0, axis);
  scores.inner = x.shape().count(axis + 1);
  const Value divisor = loss_divisor(context, scores, normalization_mode(param, caffe::LossParameter::VALID));
  const Value shifted = x - max(x, {axis});
  const Value sums = sum(exp(shifted), {axis});
  const Value probabilities = exp(shifted) / sums;
  const Value loss = total(-(weights * (shifted - log(sums)))) / divisor;
  context.set_top(0, with_gradient(loss, {x}, [=](Value g) -> std::vector<Value> {
                    return {(probabilities * sum(weights, {axis}) - weights) * (g / divisor)};
                  }));
  if (context.tops() > 1) context.set_top(1, probabilities);
}

void lower(LayerContext& context) {
  const caffe::LossParameter& param = context.param().loss_param();
  const Shape& shape = context.shape(0);
  const int axis = context.canonical_axis(context.param().softmax_param().axis(), shape.rank(), kAxis);
  if (shape[axis] > 1 && context.shape(1).count() == shape.count()) return lower_soft_labels(context, axis);
  const std::optional<int> ignore = param.has_ignore_label() ? std::optional<int>(param.ignore_label()) : std::nullopt;
  const LabelledScores scores = labelled_scores(context, axis, kAxis, ignore);
  const Value x = context.bottom(0);
  const Value probabilities = softmax(x, scores.axis);
  const Value divisor = loss_divisor(context, scores, normalization_mode(param, caffe::LossParameter::VALID));

  Value surprise = -log(maximum(scores.at_label(probabilities), FLT_MIN));
  if (scores.counted) surprise = surprise * scores.counted;
  const Value loss = total(surprise) / divisor;
  context.set_top(0, with_gradient(loss, {x}, [=](Value g) -> std::vector<Value> {
                    const Value difference = (probabilities - scores.one_hot) * (g / divisor);
                    return {scores.counted ? difference * scores.counted : difference};
                  }));
  if (context.tops() > 1) context.set_top(1, probabilities);
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
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
