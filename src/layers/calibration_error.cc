// CalibrationError: the expected calibration error (Guo et al., 2017): how far the probability of the predicted class
// is from the share of correct predictions. Equal intervals from 0 to 1, each with its upper end, are the bins of the
// probability. The error is the sum of n_b / n * |accuracy - mean probability| over the bins, for n_b of n items in a
// bin.
//   bottom 0   scores with the classes along axis (default 1). metric_param.input SCORES: their softmax has the
//              probabilities; PROBABILITIES: they are probabilities, with the sum 1
//   bottom 1   labels, one for each element of the scores without the class axis; ignore_label does not count
//   top        names the results; its element is the number of items of the batch that count; optional
// In a test, the results are NAME, the expected error, and NAME.max, the largest error of a bin with items. Both are
// NaN if no item counts. Passes no gradient.
#include <algorithm>
#include <cmath>

#include "layers/shared/confusion_counts.h"
#include "layers/shared/metric_scores.h"

namespace trainer {
namespace {

constexpr uint32_t kMostBins = 10000;

class CalibrationError : public Metric {
 public:
  CalibrationError(uint32_t bins, std::optional<int> ignore) : ignore_(ignore), bins_(bins) {
    for (uint32_t b = 1; b < bins; ++b) ends_.push_back(static_cast<float>(b) / static_cast<float>(bins));
  }

  // The probability of each prediction, the predicted class and the label.
  void add(std::span<const std::vector<float>> pass) override {
    for (size_t i = 0; i < pass[2].size(); ++i) {
      if (!label_counts(pass[2][i], ignore_)) continue;
      const float probability = pass[0][i];
      Bin& bin = bins_[static_cast<size_t>(std::lower_bound(ends_.begin(), ends_.end(), probability) - ends_.begin())];
      ++bin.items;
      bin.correct += pass[1][i] == pass[2][i];
      bin.probability += probability;
    }
  }

  MetricResult result() const override {
    double sum = 0, largest = 0;
    int64_t items = 0;
    for (const Bin& bin : bins_) {
      if (bin.items == 0) continue;
      const double difference = std::abs(static_cast<double>(bin.correct) - bin.probability);
      sum += difference;
      items += bin.items;
      largest = std::max(largest, difference / static_cast<double>(bin.items));
    }
    const double error = sum / static_cast<double>(items);
    if (std::isnan(error)) largest = error;
    MetricResult result;
    result.values = {{"", error}, {"max", largest}};
    result.items = items;
    return result;
  }

 private:
  struct Bin {
    int64_t items = 0, correct = 0;
    double probability = 0;  // the sum
  };

  const std::optional<int> ignore_;
  std::vector<float> ends_;  // of all bins but the last
  std::vector<Bin> bins_;
};

void lower(LayerContext& context) {
  const MetricScores scores = metric_scores(context);
  const uint32_t bins = context.param().calibration_error_param().bins();
  if (bins < 1 || bins > kMostBins)
    context.fail("calibration_error_param.bins", fmt::format("bins is {}", bins),
                 fmt::format("it must be at least 1 and at most {}", kMostBins));
  const std::optional<int> ignore = scores.ignore;
  const Value probabilities = metric_probabilities(context, scores);
  count_checked(context, scores, ClassSum::kOne, [=] { return std::make_unique<CalibrationError>(bins, ignore); },
                {max(probabilities, {scores.labelled.axis}), predicted_class(scores.scores, scores.labelled.axis),
                 scores.labelled.labels});
}

REGISTER_LAYER(calibration_error, .type = "CalibrationError",
               .summary = "how far predicted probabilities are from the share of correct predictions", .min_bottoms = 2,
               .max_bottoms = 2, .min_tops = 0, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "in" type: "Input" top: "scores" top: "label"
  input_param { shape { dim: 4 dim: 5 } shape { dim: 4 } } }
layer { name: "calibration" type: "CalibrationError" bottom: "scores" bottom: "label"
  calibration_error_param { bins: 10 } }
)",
               .label_bottoms = {1}, .metric = true, .metric_fields = {"axis", "ignore_label", "input"});

}  // namespace
}  // namespace trainer
