// Labels against what the layers that read them demand, checked while a batch is built.
#pragma once

#include <string>
#include <vector>

#include "data/batch_feed.h"
#include "data/batch_stream.h"

namespace trainer {

class LabelCheck {
 public:
  void add(size_t top, const LabelLimit& limit) { limits_.push_back({top, limit}); }
  bool empty() const { return limits_.empty(); }
  // Checks every value of row `row` of the limited tops. Throws data_error; `worker`.describe(i) names the
  // record.
  void check(const BatchBuffer& batch, int64_t row, const FeedWorker& worker, int64_t i) const;

 private:
  struct Demand {
    size_t top;
    LabelLimit limit;
  };
  std::vector<Demand> limits_;
};

}  // namespace trainer
