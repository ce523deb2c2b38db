// Checks labels against the limits of the layers that read them, while a batch is built.
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
  // Checks every value of row `row` of the limited tops. Throws data_error that names the record by
  // `worker`.describe(i).
  void check(const BatchBuffer& batch, int64_t row, const FeedWorker& worker, int64_t i) const;

 private:
  struct Demand {
    size_t top;
    LabelLimit limit;
  };
  std::vector<Demand> limits_;
};

}  // namespace trainer
