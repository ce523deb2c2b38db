// Labels are whole numbers: no loss defines a value between two classes. Soft labels are weights of classes.
#include "data/label_check.h"

#include <cmath>

#include "base/error.h"

namespace trainer {

namespace {

bool accepted(float value, const LabelRange& range) {
  const double whole = std::trunc(static_cast<double>(value));
  if (whole != static_cast<double>(value)) return false;  // NaN too; infinities fail every comparison below
  if (range.ignore && whole == static_cast<double>(*range.ignore)) return true;
  return whole >= 0.0 && whole < static_cast<double>(range.classes);
}

}  // namespace

std::string label_problem(float value, const LabelRange& range) {
  if (accepted(value, range)) return "";
  std::string remedy = "Correct the record, or remove it";
  if (std::isfinite(value) && value != std::trunc(value)) {
    remedy = "Labels are whole numbers; a net that learns real numbers needs a loss such as EuclideanLoss";
  } else if (value >= 0.0f && std::isfinite(value)) {
    const bool one_beyond = std::trunc(value) == static_cast<float>(range.classes);
    remedy = fmt::format(
        "{}If the label is right, the layers before need {:.0f} classes (num_output); if it marks items "
        "to ignore, set ignore_label: {:.0f}",
        one_beyond ? "Labels count from 0: where they count from 1, subtract 1. " : "", std::trunc(value) + 1,
        std::trunc(value));
  } else if (value < 0.0f && std::isfinite(value)) {
    remedy =
        fmt::format("Correct the record, or set ignore_label: {:.0f} if it marks items to ignore", std::trunc(value));
  }
  return fmt::format("its label is {}, but {} expects labels 0 to {}{}. {}", value, range.consumer, range.classes - 1,
                     range.ignore ? fmt::format(" or {} (ignore_label)", *range.ignore) : "", remedy);
}

std::string class_count_problem(size_t classes, const LabelRange& range) {
  if (static_cast<int64_t>(classes) <= range.classes) return "";
  return fmt::format(
      "the data has {} classes, but {} expects labels 0 to {}: the layers before it need {} outputs (num_output)",
      classes, range.consumer, range.classes - 1, classes);
}

namespace {

// The weights of one row, by their row-major position.
class SoftLabels {
 public:
  SoftLabels(const float* values, const TensorDesc& top)
      : values_(values), shape_(top.shape), channels_(1), plane_(count()) {
    if (top.order != MemoryFormat::kChannelsLast || top.shape.rank() < 3) return;
    channels_ = top.shape[1];
    plane_ = top.shape.count(2);
  }
  const Shape& shape() const { return shape_; }
  int64_t count() const { return shape_.count(1); }
  float operator[](int64_t i) const { return values_[i % plane_ * channels_ + i / plane_]; }

 private:
  const float* values_;
  const Shape& shape_;
  int64_t channels_, plane_;
};

void check_soft_labels(const SoftLabels& weights, const LabelRange& range, const FeedWorker& worker, int64_t row) {
  constexpr double kTolerance = 0.01;
  const int64_t stride = weights.shape().count(range.class_axis + 1), item = range.classes * stride;
  for (int64_t i = 0; i < weights.count() / item * stride; ++i) {
    const int64_t first = i / stride * item + i % stride;
    double sum = 0;
    for (int64_t c = 0; c < range.classes; ++c) {
      const float weight = weights[first + c * stride];
      if (!(weight >= 0 && std::isfinite(weight)))
        throw data_error(
            "{}: the weight of class {} is {}, but {} expects soft labels, weights from 0 that sum to 1. Correct the "
            "record, or remove it",
            worker.describe(row), c, weight, range.consumer);
      sum += static_cast<double>(weight);
    }
    if (sum != 0 && !(std::abs(sum - 1) <= kTolerance))
      throw data_error(
          "{}: its {} weights sum to {:.6g}, but {} expects soft labels that sum to 1. Divide them by their sum; "
          "weights of 0 ignore an item",
          worker.describe(row), range.classes, sum, range.consumer);
  }
}

}  // namespace

void LabelCheck::check(const BatchBuffer& batch, int64_t row, const FeedWorker& worker, int64_t i) const {
  for (const Demand& demand : demands_) {
    const float* values = batch.row(demand.top, row);
    if (demand.range.class_axis > 0) {
      check_soft_labels({values, batch.layout[demand.top]}, demand.range, worker, i);
      continue;
    }
    const int64_t count = batch.layout[demand.top].shape.count(1);
    for (int64_t v = 0; v < count; ++v) {
      if (accepted(values[v], demand.range)) continue;
      throw data_error("{}: {}", worker.describe(i), label_problem(values[v], demand.range));
    }
  }
}

}  // namespace trainer
