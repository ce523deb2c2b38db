// The cost of an iteration on a GPU according to its plan: the last line of `summary --plan`.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "runtime/program.h"

namespace trainer {

// The bytes that a step reads and writes.
double bytes_of(const Step& step);

class IterationCost {
 public:
  explicit IterationCost(std::optional<DataSheet> sheet) : sheet_(std::move(sheet)) {}

  void add(const Program& program);
  // "171 launches, 1.94 GB read and written, 0.143 TFLOP; at least 0.68 ms on an H200": each step takes at least the
  // time of its bytes at full bandwidth and of its operations at the peak rate. Without a data sheet the text has no
  // time.
  std::string text() const;

 private:
  std::optional<DataSheet> sheet_;
  int64_t launches_ = 0;
  double bytes_ = 0, operations_ = 0, seconds_ = 0;
};

}  // namespace trainer
