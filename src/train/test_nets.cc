// Runs and reports the tests of a training.
#include "train/test_nets.h"

#include <fmt/format.h>

#include "session/evaluate.h"

namespace trainer {

std::vector<NetPosition> TestNets::positions_for_snapshot() const {
  return complete_ && iteration_ != state_.loop.iteration ? state_.test_positions() : before_;
}

bool TestNets::run(const std::function<bool()>& may_continue) {
  before_ = state_.test_positions();
  iteration_ = state_.loop.iteration;
  complete_ = false;
  results_.clear();
  const WeightsInUse used(state_.average.get(), weights_of_tests(state_.solver));
  for (size_t i = 0; i < state_.tests.size(); ++i) {
    if (!run(i, may_continue)) return false;
  }
  complete_ = true;
  return true;
}

bool TestNets::run(size_t index, const std::function<bool()>& may_continue) {
  const caffe::SolverParameter& solver = state_.solver;
  NetSession& net = *state_.tests[index];
  TestLength length;
  length.epochs = static_cast<int>(solver.test_epochs());
  if (length.epochs == 0) length.batches = solver.test_iter(static_cast<int>(index));
  const int64_t batches = length.batches_of(net);
  if (solver.debug_info()) net.set_debug_log([this](const std::string& line) { report_.note(line); });
  report_.test_begin(state_.loop.iteration, static_cast<int>(index));
  Evaluation evaluation = evaluate(
      net, length, [&](int64_t) { return may_continue(); },
      [&](int64_t i, const auto&) { report_.test_step(i + 1, batches); });
  if (!evaluation.complete) {
    report_.test_interrupted();
    return false;
  }
  if (!evaluation.mixing.empty() && warned_.insert(index).second)
    report_.warning(fmt::format("Test net #{}: {}", index, evaluation.mixing));
  TestResult result = result_of(std::move(evaluation), length, net);
  result.iteration = state_.loop.iteration;
  result.net = static_cast<int>(index);
  if (!solver.test_compute_loss()) result.loss.reset();
  report_.test_result(result);
  results_.push_back(std::move(result));
  return true;
}

}  // namespace trainer
