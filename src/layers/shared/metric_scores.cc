// Joins scores and labels for metrics.
#include "layers/shared/metric_scores.h"

#include "base/error.h"

namespace trainer {
namespace {

// In bf16 the sum of a softmax differs from 1 by some 0.001.
constexpr float kTolerance = 0.01f;

// Checks the last values of each pass, {largest, -smallest} probability and perhaps {largest, -smallest} sum, before
// the metric gets the others. NaN passes: it makes results NaN.
class CheckedProbabilities : public Metric {
 public:
  CheckedProbabilities(std::unique_ptr<Metric> metric, size_t limits, std::string scores)
      : metric_(std::move(metric)), limits_(limits), scores_(std::move(scores)) {}

  void add(std::span<const std::vector<float>> pass) override {
    const auto limits = pass.last(limits_);
    check("", limits[0][0], -limits[1][0], 0, "which are from 0 to 1");
    if (limits_ > 2) check("the sum over the classes of ", limits[2][0], -limits[3][0], 1, "which have the sum 1");
    metric_->add(pass.first(pass.size() - limits_));
  }

  MetricResult result() const override { return metric_->result(); }

 private:
  // Throws unless the numbers are from `lowest` to 1.
  void check(const char* what, float largest, float smallest, float lowest, const char* expected) const {
    const bool large = largest > 1 + kTolerance;
    if (large || smallest < lowest - kTolerance)
      throw config_error(
          "{}{} is {}, but metric_param.input is PROBABILITIES, {}. Take the output of a Softmax layer, or leave input "
          "at SCORES",
          what, scores_, large ? largest : smallest, expected);
  }

  const std::unique_ptr<Metric> metric_;
  const size_t limits_;
  const std::string scores_;  // their name in messages
};

Value largest(Value x) { return reshape(max(x, all_axes(x.shape())), Shape{}); }

// Items that do not count have probabilities of 0 with the sum 1.
std::vector<Value> limits_of(const MetricScores& scores, ClassSum sum_of_classes) {
  const Value counted = scores.labelled.counted;
  const Value p = counted ? scores.scores * counted : scores.scores;
  std::vector<Value> limits = {largest(p), largest(-p)};
  if (sum_of_classes == ClassSum::kOne) {
    Value sums = sum(p, {scores.labelled.axis});
    if (counted) sums = sums + (1.0f - counted);
    limits.insert(limits.end(), {largest(sums), largest(-sums)});
  }
  return limits;
}

}  // namespace

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

bool are_probabilities(LayerContext& context) {
  return context.param().metric_param().input() == caffe::MetricParameter::PROBABILITIES;
}

Value metric_probabilities(LayerContext& context, const MetricScores& scores) {
  return are_probabilities(context) ? scores.scores : softmax(scores.scores, scores.labelled.axis);
}

void count_checked(LayerContext& context, const MetricScores& scores, ClassSum sum_of_classes,
                   std::function<std::unique_ptr<Metric>()> make, std::vector<Value> values) {
  if (!are_probabilities(context)) return context.count(std::move(make), std::move(values));
  const std::vector<Value> limits = limits_of(scores, sum_of_classes);
  values.insert(values.end(), limits.begin(), limits.end());
  const std::string name = fmt::format("\"{}\", bottom of {},", context.param().bottom(0), subject_of(context.param()));
  context.count([make = std::move(make), count = limits.size(),
                 name] { return std::make_unique<CheckedProbabilities>(make(), count, name); },
                std::move(values));
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
