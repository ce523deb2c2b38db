// The counts of a test by label and predicted class.
#pragma once

#include <cstdint>
#include <optional>

#include "layers/metric.h"
#include "ops/math.h"

namespace trainer {

constexpr int64_t kMostConfusionClasses = 1000;

// The first class along `axis` with the largest score, with extent 1 there; the number of classes if scores are NaN.
Value predicted_class(Value scores, int axis);

// Counts {predicted class, label} of each pass, one pair for each prediction. Labels that are `ignore` do not count,
// nor do predictions that are not classes.
class ConfusionCounts : public Metric {
 public:
  ConfusionCounts(int64_t classes, std::optional<int> ignore)
      : classes_(classes), ignore_(ignore), counts_(static_cast<size_t>(classes * classes)) {}

  void add(std::span<const std::vector<float>> pass) override;
  MetricResult result() const override;

  int64_t classes() const { return classes_; }
  // Those that count, also with predictions that are not a class.
  int64_t labels() const { return labels_; }
  int64_t count(int64_t label, int64_t predicted) const {
    return counts_[static_cast<size_t>(label * classes_ + predicted)];
  }

 private:
  const int64_t classes_;
  const std::optional<int> ignore_;
  std::vector<int64_t> counts_;
  int64_t labels_ = 0;
};

}  // namespace trainer
