// The training loop.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "report/run_report.h"
#include "session/loss_scale.h"
#include "train/retry.h"
#include "train/snapshot_writer.h"
#include "train/test_nets.h"
#include "train/training.h"
#include "train/training_state.h"
#include "train/watched_metric.h"

namespace trainer {

class TrainingLoop {
 public:
  using Clock = std::chrono::steady_clock;
  // The time limit counts from `start`.
  TrainingLoop(TrainingState& state, const TrainingOptions& options, Clock::time_point start, RunReport& report);

  void run();
  TrainingEnd end() const { return end_; }
  // After an error that ended run(): see SnapshotWriter.
  std::string save_after(const Error& error) { return snapshots_.save_after(error); }

 private:
  bool stopped() const { return end_ != TrainingEnd::kDone; }
  void train();
  // Also notes that the run is to stop.
  StopRequest poll();
  bool run_tests();
  void iterate();
  void enter_stage();
  float run_passes(bool display, float rate);
  double watched(const WatchedMetric& metric) const;
  void note_plateau(double value, const std::string& metric);
  bool note_best(double value);
  void keep_best(double value);
  void stop_early(const LoopState& before);
  void set_debug_log(bool display);
  void note_loss(float loss);
  float smoothed_loss() const;
  void display_iteration(float rate);
  void note_skipped_updates();

  TrainingState& state_;
  const caffe::SolverParameter& solver_;
  const std::function<StopRequest()> poll_;
  const Interval test_interval_, display_interval_;
  std::optional<Clock::time_point> deadline_;
  RunReport& report_;
  TestNets tests_;
  SnapshotWriter snapshots_;
  Retries retries_;
  SkippedUpdates skipped_;
  TrainingEnd end_ = TrainingEnd::kDone;
};

}  // namespace trainer
