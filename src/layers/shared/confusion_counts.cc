// Counts predictions by label.
#include "layers/shared/confusion_counts.h"

#include "layers/shared/metric_scores.h"

namespace trainer {

Value predicted_class(Value scores, int axis) {
  const auto classes = static_cast<float>(scores.shape()[axis]);
  const Value distance = classes - index_along(*scores.graph(), scores.shape(), axis);  // from the end, at least 1
  return classes - max(greater_equal(scores, max(scores, {axis})) * distance, {axis});
}

void ConfusionCounts::add(std::span<const std::vector<float>> pass) {
  const std::vector<float>&predicted = pass[0], &labels = pass[1];
  const auto classes = static_cast<float>(classes_);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!label_counts(labels[i], ignore_)) continue;
    ++labels_;
    if (!(labels[i] >= 0 && labels[i] < classes && predicted[i] >= 0 && predicted[i] < classes)) continue;
    ++counts_[static_cast<size_t>(labels[i]) * static_cast<size_t>(classes_) + static_cast<size_t>(predicted[i])];
  }
}

MetricResult ConfusionCounts::result() const {
  MetricResult result;
  result.confusion = ConfusionMatrix{"", classes_, counts_};
  return result;
}

}  // namespace trainer
