// ConfusionMatrix: counts items by label (row) and predicted class (column), the first with the largest score, and
// gives the accuracy: the share of items whose label is predicted.
//   bottom 0   scores with the classes, at most 1,000, along axis (default 1)
//   bottom 1   labels, one for each element of the scores without the class axis; ignore_label does not count
//   top        names the results; its element is the number of items of the batch that count; optional
// In a test, the results are NAME.accuracy, NaN if no item counts, and the matrix. Passes no gradient.
#include "layers/shared/confusion_counts.h"
#include "layers/shared/metric_scores.h"

namespace trainer {
namespace {

class Matrix : public ConfusionCounts {
 public:
  using ConfusionCounts::ConfusionCounts;

  MetricResult result() const override {
    MetricResult result = ConfusionCounts::result();
    int64_t correct = 0;
    for (int64_t c = 0; c < classes(); ++c) correct += count(c, c);
    result.values.emplace_back("accuracy", share_of(correct, labels()));
    result.items = labels();
    return result;
  }
};

void lower(LayerContext& context) {
  const MetricScores scores = metric_scores(context);
  const int64_t classes = scores.labelled.classes;
  if (classes > kMostConfusionClasses)
    context.fail("bottom[0]",
                 fmt::format("\"{}\" ({}) has {} classes along axis {}; a confusion matrix has at most {}",
                             context.param().bottom(0), context.shape(0).text(), classes, scores.labelled.axis,
                             kMostConfusionClasses),
                 "use PrecisionRecall, which has numbers for each class, or set metric_param.axis if the classes are "
                 "along another axis");
  const std::optional<int> ignore = scores.ignore;
  context.count([=] { return std::make_unique<Matrix>(classes, ignore); },
                {predicted_class(scores.scores, scores.labelled.axis), scores.labelled.labels});
}

REGISTER_LAYER(confusion_matrix, .type = "ConfusionMatrix", .summary = "counts items by label and predicted class",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 0, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "in" type: "Input" top: "scores" top: "label"
  input_param { shape { dim: 4 dim: 5 } shape { dim: 4 } } }
layer { name: "confusion" type: "ConfusionMatrix" bottom: "scores" bottom: "label" }
)",
               .label_bottoms = {1}, .metric = true, .metric_fields = {"axis", "ignore_label"});

}  // namespace
}  // namespace trainer
