// Joins scores and labels for metrics.
#include "layers/shared/metric_scores.h"

namespace trainer {

MetricScores metric_scores(LayerContext& context, bool one_column) {
  const caffe::MetricParameter& param = context.param().metric_param();
  const char* const axis_field = "metric_param.axis";
  MetricScores result;
  result.scores = stop_gradient(context.bottom(0));
  if (param.has_ignore_label()) result.ignore = param.ignore_label();
  const Shape& shape = context.shape(0);
  if (one_column && shape[context.canonical_axis(param.axis(), shape.rank(), axis_field)] == 1) {
    result.scores = reshape(result.scores, Shape{shape.count(), 1});
    result.labelled = labelled_items(context, shape.count(), 2, result.ignore);
  } else {
    result.labelled = labelled_scores(context, param.axis(), axis_field, result.ignore);
  }
  set_counted_items(context, result.labelled.count());
  return result;
}

Value metric_probabilities(LayerContext& context, const MetricScores& scores) {
  if (context.param().metric_param().input() == caffe::MetricParameter::PROBABILITIES) return scores.scores;
  return softmax(scores.scores, scores.labelled.axis);
}

Value rows_along(Value x, int axis) {
  const Shape& shape = x.shape();
  const int64_t outer = shape.count(0, axis), columns = shape[axis], inner = shape.count(axis + 1);
  const Value view = reshape(x, Shape{outer, columns, inner});
  return reshape(inner == 1 ? view : permute(view, {0, 2, 1}), Shape{outer * inner, columns});
}

void set_counted_items(LayerContext& context, Value count) {
  if (context.tops() > 0) context.set_top(0, count);
}

}  // namespace trainer
