// The continuation of a training after a loss that is not finite (`divergence`).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "report/run_report.h"
#include "train/saved_states.h"

namespace trainer {

class Retries {
 public:
  // The start of a run that resumes no snapshot (`resumed` is "") is kept in host memory until it has written two
  // snapshots: the first may already have weights that diverge.
  Retries(TrainingState& state, const std::string& resumed, RunReport& report);

  // The factor of the learning rate.
  float rate_factor() const;
  // Goes back to the snapshot `state_file`, or with "" to the start, and lowers the rate from then on. If the training
  // has failed since the last retry without another snapshot, goes back to the snapshot before that of the last retry:
  // its weights may be the cause. Throws an error with the text of `error` if no retry is left.
  void go_back(const Error& error, const std::string& state_file);
  // `last` is the state file of the last snapshot that was written; "" if there is none.
  void note_snapshot(const std::string& last);

 private:
  // The snapshot to go back to, if `newest` is the newest one; "" for the start. A second failure without a new
  // snapshot means that the snapshot itself may be bad.
  std::string choose(const std::string& newest);

  TrainingState& state_;
  RunReport& report_;
  std::optional<SavedStates> start_;
  int snapshots_ = 0;  // written since the start
  std::string last_snapshot_;
  std::string newest_, tried_;  // at the last retry: the newest snapshot, and the one that it went back to
};

}  // namespace trainer
