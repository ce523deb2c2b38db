// The tests of a training: each test net over its batches.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "report/run_report.h"
#include "train/training_state.h"

namespace trainer {

class TestNets {
 public:
  TestNets(TrainingState& state, RunReport& report) : state_(state), report_(report) {}

  // Runs and reports all tests. `may_continue` is called before each batch of this process; returns false once it
  // returned false, on any process of a group: see evaluate(). It may not use the group.
  bool run(const std::function<bool()>& may_continue);
  // The positions from which a resumed training tests. It repeats a test of this iteration and one that was
  // interrupted: then those before that test.
  std::vector<NetPosition> positions_for_snapshot() const;
  // Of the last complete run, one for each test net.
  const std::vector<TestResult>& results() const { return results_; }

 private:
  bool run(size_t index, const std::function<bool()>& may_continue);

  TrainingState& state_;
  RunReport& report_;
  std::vector<NetPosition> before_;  // the last test
  int iteration_ = -1;               // of the last test
  bool complete_ = true;
  std::vector<TestResult> results_;
  std::set<size_t> warned_;  // test nets whose results depend on batch_size, which has been said
};

}  // namespace trainer
