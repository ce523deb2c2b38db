// Softmax, labels and divisors for the layers over class scores.
#include "layers/shared/class_scores.h"

namespace trainer {

Value softmax(Value x, int axis) {
  const Value exponentials = exp(x - max(x, {axis}));
  const Value y = exponentials / sum(exponentials, {axis});
  return with_gradient(y, {x}, [=](Value g) -> std::vector<Value> { return {y * (g - sum(g * y, {axis}))}; });
}

Value log_softmax(Value x, int axis) {
  const Value shifted = x - max(x, {axis});
  const Value y = shifted - log(sum(exp(shifted), {axis}));
  return with_gradient(y, {x}, [=](Value g) -> std::vector<Value> { return {g - exp(y) * sum(g, {axis})}; });
}

Value total(Value x) { return reshape(sum(x, all_axes(x.shape())), Shape{}); }

Value LabelledScores::at_label(Value scores) const {
  return sum(select(one_hot, scores, constant(*scores.graph(), Shape{}, 0)), {axis});
}

Value LabelledScores::count() const {
  return counted ? total(counted) : constant(*labels.graph(), Shape{}, static_cast<float>(outer * inner));
}

namespace {

// Labels that have a value for each class of an item.
bool are_soft(const Shape& labels, const Shape& scores, int axis) {
  if (labels.rank() != scores.rank() || labels[axis] == 1) return false;
  Shape same = scores;
  same[axis] = labels[axis];
  return same == labels;
}

// Joins scores of this shape, with classes along `axis`, with the labels of bottom 1.
LabelledScores join_labels(LayerContext& context, const Shape& shape, int axis, std::optional<int> ignore_label) {
  LabelledScores result;
  result.axis = axis;
  result.classes = shape[result.axis];
  result.outer = shape.count(0, result.axis);
  result.inner = shape.count(result.axis + 1);
  const Shape& labels = context.shape(1);
  const std::string &scores_name = context.param().bottom(0), &labels_name = context.param().bottom(1);
  if (are_soft(labels, shape, result.axis))
    context.fail("bottom",
                 fmt::format("\"{}\" ({}) holds a weight for each of {} classes, not a label for each prediction of "
                             "\"{}\" ({})",
                             labels_name, labels.text(), labels[result.axis], scores_name, shape.text()),
                 "SoftmaxWithLoss takes weights of as many classes as scores (num_output); data layers with mix give "
                 "them in phase TRAIN only, so other layers can have include { phase: TEST }");
  if (labels.count() != result.outer * result.inner)
    context.fail("bottom",
                 fmt::format("the number of labels must match the number of predictions: \"{}\" ({}) holds {} labels, "
                             "\"{}\" ({}) with its classes along axis {} needs {}",
                             labels_name, labels.text(), labels.count(), scores_name, shape.text(), result.axis,
                             result.outer * result.inner),
                 "bottom 0 holds the scores and bottom 1 the labels: one for each prediction, without the class axis");

  Shape view = shape;
  view[result.axis] = 1;
  result.labels = reshape(context.bottom(1), view);
  result.one_hot = equal(index_along(context.graph(), shape, result.axis), result.labels);
  if (ignore_label) result.counted = 1.0f - equal(result.labels, static_cast<float>(*ignore_label));
  context.require_labels(1, {result.classes, ignore_label, ""});
  return result;
}

}  // namespace

LabelledScores labelled_scores(LayerContext& context, int axis, const std::string& axis_field,
                               std::optional<int> ignore_label) {
  const Shape& shape = context.shape(0);
  return join_labels(context, shape, context.canonical_axis(axis, shape.rank(), axis_field), ignore_label);
}

LabelledScores labelled_rows(LayerContext& context, Value* scores) {
  const Shape& shape = context.shape(0);
  if (shape.rank() == 0) context.fail("bottom", fmt::format("bottom \"{}\" is a scalar", context.param().bottom(0)));
  *scores = reshape(context.bottom(0), Shape{shape[0], shape.count(1)});
  return join_labels(context, scores->shape(), 1, std::nullopt);
}

LabelledScores labelled_items(LayerContext& context, int64_t items, int64_t classes, std::optional<int> ignore_label) {
  if (context.shape(1).count() != items)
    context.fail("bottom[1]",
                 fmt::format("\"{}\" ({}) holds {} labels, \"{}\" ({}) {} items", context.param().bottom(1),
                             context.shape(1).text(), context.shape(1).count(), context.param().bottom(0),
                             context.shape(0).text(), items),
                 "give one label for each item");
  return join_labels(context, Shape{items, classes}, 1, ignore_label);
}

Value loss_divisor(LayerContext& context, const LabelledScores& scores, caffe::LossParameter::NormalizationMode mode) {
  float divisor = 1;
  switch (mode) {
    case caffe::LossParameter::VALID:
      if (scores.counted) {
        const Value counted = total(scores.counted);
        context.set_divisor(0, counted);
        return maximum(counted, 1.0f);
      }
      [[fallthrough]];
    case caffe::LossParameter::FULL: divisor = static_cast<float>(scores.outer * scores.inner); break;
    case caffe::LossParameter::BATCH_SIZE: divisor = static_cast<float>(scores.outer); break;
    case caffe::LossParameter::NONE: context.set_sum(0); break;
  }
  return constant(context.graph(), Shape{}, divisor);
}

caffe::LossParameter::NormalizationMode normalization_mode(const caffe::LossParameter& param,
                                                           caffe::LossParameter::NormalizationMode fallback) {
  if (param.has_normalization()) return param.normalization();
  if (!param.has_normalize()) return fallback;
  return param.normalize() ? caffe::LossParameter::VALID : caffe::LossParameter::BATCH_SIZE;
}

}  // namespace trainer
