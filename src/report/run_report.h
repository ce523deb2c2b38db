// The report of a training run: passes the events of the loop on to the log, the terminal and the run folder.
//
// The log gets the lines of Caffe's log; a terminal can show a live line in addition. All calls come from the thread of
// the loop.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "report/log_file.h"
#include "report/run_events.h"

namespace trainer {

class RunReport {
 public:
  // `live_line`: show a live line on the standard error.
  explicit RunReport(bool live_line = false);
  // Passes the events on to this sink as well.
  explicit RunReport(std::unique_ptr<RunSink> sink);
  ~RunReport();
  RunReport(const RunReport&) = delete;
  RunReport& operator=(const RunReport&) = delete;

  // Shows a permanent text of one or more lines. Text before begin() is not in the run folder, whose log begins later.
  void note(const std::string& text);
  void warning(const std::string& text);

  // Call before step 0. If the run folder cannot be created, begin() gives a warning and the run has none.
  void begin(const RunInfo& info);
  // Path of the run folder, "" if there is none.
  const std::string& folder() const { return folder_; }

  void step(const StepProgress& progress);
  void train_display(const TrainDisplay& display);
  void test_begin(int64_t iteration, int net);
  void test_step(int64_t done, int64_t total);
  void test_result(const TestResult& result);
  // A test was interrupted: nothing is recorded.
  void test_interrupted();
  void snapshot(const SnapshotFiles& files);
  void best(const NewBest& best);
  void retry(const Retry& retry);
  // Caffe's loss line after the last iteration.
  void final_loss(int64_t iteration, double loss);
  void finish(const RunEnd& end);

 private:
  using Clock = std::chrono::steady_clock;
  TrainPace pace_since_last(const TrainDisplay& display);

  LogFile log_file_;
  std::vector<std::unique_ptr<RunSink>> sinks_;
  std::string folder_;
  int64_t images_per_iteration_ = 0;
  Clock::time_point last_time_{};
  int64_t last_iteration_ = 0;
  double last_wait_ = 0;
  Clock::time_point test_start_{};
  Clock::duration test_time_{};
};

}  // namespace trainer
