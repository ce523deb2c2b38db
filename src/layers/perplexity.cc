// Perplexity: e^(mean of -log p), p being the probability of the label.
//   bottom 0   scores with the classes along axis (default 1). metric_param.input SCORES: their softmax has the
//              probabilities; PROBABILITIES: they are probabilities, with the sum 1
//   bottom 1   labels, one for each element of the scores without the class axis; ignore_label does not count
//   top        names the result; its element is the number of items of the batch that count; optional
// In a test, the result is NAME; NaN if no item counts. Passes no gradient.
#include <cmath>

#include "layers/shared/metric_scores.h"

namespace trainer {
namespace {

class Perplexity : public Metric {
 public:
  explicit Perplexity(std::optional<int> ignore) : ignore_(ignore) {}

  // The logarithm of p for each item, and the label.
  void add(std::span<const std::vector<float>> pass) override {
    for (size_t i = 0; i < pass[1].size(); ++i) {
      if (!label_counts(pass[1][i], ignore_)) continue;
      sum_ += pass[0][i];
      ++items_;
    }
  }

  MetricResult result() const override {
    MetricResult result;
    result.items = items_;
    result.values.emplace_back("", std::exp(-sum_ / static_cast<double>(items_)));
    return result;
  }

 private:
  const std::optional<int> ignore_;
  double sum_ = 0;
  int64_t items_ = 0;
};

void lower(LayerContext& context) {
  const MetricScores scores = metric_scores(context);
  const LabelledScores& labelled = scores.labelled;
  const Value log_probability = are_probabilities(context)
                                    ? log(labelled.at_label(scores.scores))
                                    : labelled.at_label(log_softmax(scores.scores, labelled.axis));
  const std::optional<int> ignore = scores.ignore;
  count_checked(context, scores, ClassSum::kOne, [=] { return std::make_unique<Perplexity>(ignore); },
                {log_probability, labelled.labels});
}

REGISTER_LAYER(perplexity, .type = "Perplexity", .summary = "how many classes the net hesitates between, on average",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 0, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "in" type: "Input" top: "scores" top: "label"
  input_param { shape { dim: 3 dim: 4 dim: 5 } shape { dim: 3 dim: 4 } } }
layer { name: "perplexity" type: "Perplexity" bottom: "scores" bottom: "label" metric_param { axis: 2 } }
)",
               .label_bottoms = {1}, .metric = true, .metric_fields = {"axis", "ignore_label", "input"});

}  // namespace
}  // namespace trainer
