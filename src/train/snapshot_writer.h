// Writes the snapshots of a run and retries after a failure.
#pragma once

#include <string>

#include "base/error.h"
#include "train/test_nets.h"

namespace trainer {

class SnapshotWriter {
 public:
  // `resumed` is the solver state that the run resumed from, or ""; the same in all processes.
  SnapshotWriter(TrainingState& state, const TestNets& tests, const std::string& resumed, RunReport& report);

  // Whether the iterations done so far call for a snapshot: at the solver's interval, and after a failure at each
  // display.
  bool due() const;
  // Reports a failure as a warning.
  void try_write();
  // At the end of the loop: writes a snapshot if the solver asks for it or the last attempt failed. Throws on failure.
  void write_last();
  // After an error that ended the loop: writes a last snapshot if the error is in the data. Returns advice on how to
  // continue; "" for none.
  std::string save_after(const Error& error);
  // After the loss of another process: writes a last snapshot if this process `writes`, without the others. Returns
  // where this one ends, and how to continue.
  std::string save_after_loss(bool writes);

  // The state file of the last snapshot, or the one resumed from; "" if there is none.
  const std::string& last_state() const { return last_state_; }
  // The training continues from the last snapshot or from its start.
  void go_back() {
    failed_ = false;
    saved_iteration_ = state_.loop.iteration;
  }

 private:
  bool is_periodic() const;
  void write();
  std::string write_files(const std::vector<caffe::SolverState>& others);
  void equalize(Group& group);
  std::string write_together(Group& group);
  std::string save_alone();
  std::string resume_text() const;

  TrainingState& state_;
  const TestNets& tests_;
  RunReport& report_;
  std::string last_state_;
  static constexpr int kNone = -1;
  int saved_iteration_;  // of that snapshot, or the start; kNone if there may be no snapshot of where processes met
                         // again
  bool failed_ = false;  // the last attempt
};

}  // namespace trainer
