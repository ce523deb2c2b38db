// The training loop.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "report/run_report.h"
#include "session/loss_scale.h"
#include "train/agreement.h"
#include "train/iteration_start.h"
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
  int stop_signal() const { return stop_signal_; }
  // After an error that ended run(): see SnapshotWriter.
  std::string save_after(const Error& error);
  std::string save_after_loss(bool writes) { return snapshots_.save_after_loss(writes); }
  // After a RankFailed: the iteration that failed is not begun.
  void go_back();
  // The positions from which a resumed training tests: see TestNets.
  std::vector<NetPosition> test_positions() const { return tests_.positions_for_snapshot(); }

 private:
  bool stopped() const { return end_ != TrainingEnd::kDone; }
  Group* group() const { return state_.group(); }
  void train();
  bool is_out_of_time() const { return deadline_ && Clock::now() >= *deadline_; }
  // Also notes that the run is to stop.
  StopRequest::Kind poll();
  StopRequest::Kind note(const StopRequest& request, bool out_of_time);
  bool run_tests();
  void iterate();
  void enter_stage();
  float run_passes(bool display, float rate);
  float agreed_loss(float sum, const Rank* bad, double computed, float rate);
  [[noreturn]] void fail_together(const Rank* bad, int process, float rate);
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
  int stop_signal_ = 0;
  // With several processes.
  std::optional<IterationStart> iteration_start_;
  std::optional<Stragglers> stragglers_;
  Agreement agreement_;
  Clock::time_point computing_since_;
};

}  // namespace trainer
