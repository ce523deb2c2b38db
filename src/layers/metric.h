// The interface of metrics: what tests add up over their passes, on the host, and what they make of it at the end.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trainer/events.h"

namespace trainer {

struct MetricResult {
  // Names within the metric, as in "f1"; "" for the only value of a metric.
  std::vector<std::pair<std::string, double>> values;
  std::optional<int64_t> items;  // that the values count
  std::optional<ClassTable> table;
  std::optional<ConfusionMatrix> confusion;
  // The layer, and why results depend on how the records are divided into batches; "" if they do not.
  std::string mixes_records;
};

class Metric {
 public:
  virtual ~Metric() = default;
  // The elements of the values that the layer counts, row-major, in the order of LayerContext::count.
  virtual void add(std::span<const std::vector<float>> pass) = 0;
  virtual MetricResult result() const = 0;
};

}  // namespace trainer
