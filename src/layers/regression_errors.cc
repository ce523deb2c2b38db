// RegressionErrors: errors of predictions x of numbers t.
//   bottom 0   predictions: (N) or (N, D, ...)
//   bottom 1   as many targets
//   top        names the results; its element is the number of items of the batch; optional
// In a test, the results are
//   NAME.mae    the mean of |x - t| over all elements
//   NAME.rmse   the square root of the mean of (x - t)^2 over all elements
//   NAME.r2     R^2 = 1 - sum of (x - t)^2 / sum of (t - mean t)^2 for each of the D outputs, along axis 1; their mean,
//               as in scikit-learn. If all targets of an output are equal, it is 1 without errors and else 0. NaN with
//               fewer than two elements for each output
// Passes no gradient.
#include <cmath>
#include <limits>

#include "layers/shared/element_targets.h"
#include "layers/shared/metric_scores.h"

namespace trainer {
namespace {

// The targets of an output, with the mean and the sum of squares of Welford's algorithm.
struct Output {
  int64_t elements = 0;
  double mean = 0, squares = 0;    // of the targets; squares of the differences from the mean
  double absolute = 0, error = 0;  // the sums of |x - t| and (x - t)^2

  void add(double x, double t) {
    const double before = t - mean;
    mean += before / static_cast<double>(++elements);
    squares += before * (t - mean);
    absolute += std::abs(x - t);
    error += (x - t) * (x - t);
  }

  double r2() const {
    if (elements < 2) return std::numeric_limits<double>::quiet_NaN();
    if (squares == 0) return error == 0 ? 1 : 0;
    return 1 - error / squares;
  }
};

class RegressionErrors : public Metric {
 public:
  explicit RegressionErrors(int64_t outputs) : outputs_(static_cast<size_t>(outputs)) {}

  // Predictions and targets, in rows of the outputs.
  void add(std::span<const std::vector<float>> pass) override {
    for (size_t i = 0; i < pass[0].size(); ++i) outputs_[i % outputs_.size()].add(pass[0][i], pass[1][i]);
  }

  MetricResult result() const override {
    double absolute = 0, error = 0, r2 = 0;
    int64_t elements = 0;
    for (const Output& output : outputs_) {
      absolute += output.absolute;
      error += output.error;
      r2 += output.r2();
      elements += output.elements;
    }
    MetricResult result;
    result.items = elements;
    result.values = {{"mae", absolute / static_cast<double>(elements)},
                     {"rmse", std::sqrt(error / static_cast<double>(elements))},
                     {"r2", r2 / static_cast<double>(outputs_.size())}};
    return result;
  }

 private:
  std::vector<Output> outputs_;
};

void lower(LayerContext& context) {
  const Value targets = joined_targets(context);
  const Shape& shape = context.shape(0);
  const int64_t outputs = shape.rank() > 1 ? shape[1] : 1;
  const auto rows = [&](Value x) {
    return rows_along(reshape(stop_gradient(x), Shape{shape[0], outputs, shape.count() / (shape[0] * outputs)}), 1);
  };
  set_counted_items(context, constant(context.graph(), Shape{}, static_cast<float>(shape[0])));
  context.count([=] { return std::make_unique<RegressionErrors>(outputs); }, {rows(context.bottom(0)), rows(targets)});
}

REGISTER_LAYER(regression_errors, .type = "RegressionErrors", .summary = "MAE, RMSE and R^2 of predicted numbers",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 0, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "in" type: "Input" top: "x" top: "t" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "errors" type: "RegressionErrors" bottom: "x" bottom: "t" }
)",
               .label_bottoms = {1}, .metric = true);

}  // namespace
}  // namespace trainer
