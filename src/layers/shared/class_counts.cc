// Counts hits, predictions and labels of each class.
#include "layers/shared/class_counts.h"

#include "layers/shared/confusion_counts.h"

namespace trainer {

void ClassCounts::add(std::span<const std::vector<float>> pass) {
  const size_t classes = classes_.size();
  for (size_t i = 0; i < pass[0].size(); ++i) {
    ClassCount& count = classes_[i % classes];
    count.hits += static_cast<int64_t>(pass[0][i]);
    count.predicted += static_cast<int64_t>(pass[1][i]);
    count.labelled += static_cast<int64_t>(pass[2][i]);
  }
}

std::vector<Value> class_counts(const MetricScores& scores) {
  const LabelledScores& labelled = scores.labelled;
  const Value predicted = predicted_class(scores.scores, labelled.axis);
  const Value index = index_along(*predicted.graph(), scores.scores.shape(), labelled.axis);
  Value predictions = equal(index, predicted), labels = labelled.one_hot;
  if (labelled.counted) predictions = predictions * labelled.counted, labels = labels * labelled.counted;
  // Floats count to 2^24 only, and a batch may have more pixels: each item keeps its own sums.
  const auto count = [&](Value x) {
    return sum(reshape(x, Shape{labelled.outer, labelled.classes, labelled.inner}), {labelled.inner > 1 ? 2 : 0});
  };
  return {count(predictions * labels), count(predictions), count(labels)};
}

}  // namespace trainer
