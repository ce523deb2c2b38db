// The counts of a test for each class, for metrics that need no confusion matrix.
#pragma once

#include <cstdint>
#include <vector>

#include "layers/metric.h"
#include "layers/shared/metric_scores.h"

namespace trainer {

struct ClassCount {
  int64_t hits = 0, predicted = 0, labelled = 0;  // hits: predicted and labelled
};

// Metrics derive from this and make the result.
class ClassCounts : public Metric {
 public:
  explicit ClassCounts(int64_t classes) : classes_(static_cast<size_t>(classes)) {}

  void add(std::span<const std::vector<float>> pass) override;

 protected:
  const std::vector<ClassCount>& classes() const { return classes_; }

 private:
  std::vector<ClassCount> classes_;
};

// The values that ClassCounts adds up: hits, predictions and labels. Each element is the number of items of one class
// in the batch or in a part of it, so that floats hold it exactly.
std::vector<Value> class_counts(const MetricScores& scores);

}  // namespace trainer
