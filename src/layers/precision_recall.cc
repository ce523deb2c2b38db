// PrecisionRecall: precision, recall and F1 of the predicted classes, the first with the largest score. Of a class with
// TP items that have both its label and its prediction, precision is TP / predictions, recall is TP / labels, and F1 is
// 2 * TP / (predictions + labels).
//   bottom 0   scores with the classes along axis (default 1)
//   bottom 1   labels, one for each element of the scores without the class axis; ignore_label does not count
//   top        names the results; its element is the number of items of the batch that count; optional
// In a test, the results are, as in scikit-learn,
//   NAME.precision, NAME.recall, NAME.f1                 means over the classes that occur as labels or predictions
//   NAME.precision_weighted, NAME.recall_weighted, NAME.f1_weighted   means weighted by the number of labels
//   NAME.balanced_accuracy                               the mean recall of the classes that occur as labels
// and a table of the classes. In means, a fraction over 0 counts as 0; in the table it is NaN. If no item counts, all
// are NaN. Passes no gradient.
#include <cmath>

#include "layers/shared/class_counts.h"

namespace trainer {
namespace {

class PrecisionRecall : public ClassCounts {
 public:
  using ClassCounts::ClassCounts;

  MetricResult result() const override {
    const std::vector<std::string> names = {"precision", "recall", "f1"};
    ClassTable table;
    table.columns = {"precision", "recall", "f1", "support"};
    double sums[3] = {}, weighted[3] = {};
    int64_t occurring = 0, with_labels = 0, labels = 0;
    for (const ClassCount& c : classes()) {
      const double numbers[3] = {share_of(c.hits, c.predicted), share_of(c.hits, c.labelled),
                                 share_of(2 * c.hits, c.predicted + c.labelled)};
      for (size_t k = 0; k < names.size(); ++k) {
        table.cells.push_back(numbers[k]);
        if (std::isnan(numbers[k])) continue;
        sums[k] += numbers[k];
        weighted[k] += numbers[k] * static_cast<double>(c.labelled);
      }
      table.cells.push_back(static_cast<double>(c.labelled));
      occurring += c.predicted + c.labelled > 0;
      with_labels += c.labelled > 0;
      labels += c.labelled;
    }
    MetricResult result;
    for (size_t k = 0; k < names.size(); ++k) {
      result.values.emplace_back(names[k], sums[k] / static_cast<double>(occurring));
      result.values.emplace_back(names[k] + "_weighted", weighted[k] / static_cast<double>(labels));
    }
    result.values.emplace_back("balanced_accuracy", sums[1] / static_cast<double>(with_labels));
    result.items = labels;
    result.table = std::move(table);
    return result;
  }
};

void lower(LayerContext& context) {
  const MetricScores scores = metric_scores(context);
  const int64_t classes = scores.labelled.classes;
  context.count([=] { return std::make_unique<PrecisionRecall>(classes); }, class_counts(scores));
}

REGISTER_LAYER(precision_recall, .type = "PrecisionRecall", .summary = "precision, recall and F1 of classes",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 0, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "in" type: "Input" top: "scores" top: "label"
  input_param { shape { dim: 4 dim: 5 } shape { dim: 4 } } }
layer { name: "classes" type: "PrecisionRecall" bottom: "scores" bottom: "label" metric_param { ignore_label: -1 } }
)",
               .label_bottoms = {1}, .metric = true, .metric_fields = {"axis", "ignore_label"});

}  // namespace
}  // namespace trainer
