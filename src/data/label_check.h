// Checks labels against the ranges of the layers that read them, while a batch is built.
#pragma once

#include <string>
#include <vector>

#include "data/batch_feed.h"
#include "layers/label_range.h"

namespace trainer {

// The problem of a label value that a range lacks, with the remedy: "its label is 10, but layer ...". "" for a valid
// one.
std::string label_problem(float value, const LabelRange& range);

// The problem of a data set with more classes than a range, with the remedy; "" if there is none.
std::string class_count_problem(size_t classes, const LabelRange& range);

class LabelCheck {
 public:
  void add(size_t top, const LabelRange& range) { demands_.push_back({top, range}); }
  bool empty() const { return demands_.empty(); }
  // Checks every value of row `row` of these tops. Throws data_error that names the record by
  // `worker`.describe(i).
  void check(const BatchBuffer& batch, int64_t row, const FeedWorker& worker, int64_t i) const;

 private:
  struct Demand {
    size_t top;
    LabelRange range;
  };
  std::vector<Demand> demands_;
};

}  // namespace trainer
