// The training loop.
#pragma once

#include <functional>
#include <string>

#include "report/run_report.h"
#include "session/loss_scale.h"
#include "train/snapshot_writer.h"
#include "train/test_nets.h"
#include "train/training.h"
#include "train/training_state.h"

namespace trainer {

class TrainingLoop {
 public:
  TrainingLoop(TrainingState& state, const TrainingOptions& options, RunReport& report);

  void run();
  bool stopped() const { return stopped_; }
  // After an error that ended run(): see SnapshotWriter.
  std::string save_after(const Error& error) { return snapshots_.save_after(error); }

 private:
  bool run_tests();
  void iterate(bool display);
  float run_passes(bool display, float rate);
  void set_debug_log(bool display);
  void note_loss(float loss);
  float smoothed_loss() const;
  void display_iteration(float rate);
  void note_skipped_updates();

  TrainingState& state_;
  const caffe::SolverParameter& solver_;
  const std::function<StopRequest()> poll_;
  RunReport& report_;
  TestNets tests_;
  SnapshotWriter snapshots_;
  SkippedUpdates skipped_;
  bool stopped_ = false;
};

}  // namespace trainer
