// The run folder: what a run leaves behind for people and programs.
//
//   net.prototxt, solver.prototxt   as they were used
//   train.log                       the log's lines (log_file.h writes it)
//   metrics.jsonl                   every displayed value, one JSON object a line
//   events.out.tfevents.*           the same for TensorBoard
//   report.html                     charts, made at snapshots, tests and the end
//
// Lines of metrics.jsonl: {"event":"begin",...}, {"event":"snapshot",...}, {"event":"end",...}, and for
// values
//   {"iteration":100,"split":"train","name":"loss","value":0.5,"loss_weight":1,"seconds":1.5,"lr":0.01}
// with "value":null,"not_finite":"nan" (or "inf", "-inf") where a value is no number.
#pragma once

#include <chrono>
#include <string>

#include "report/append_file.h"
#include "report/run_events.h"

namespace trainer {

// Makes SNAPSHOT_PREFIX_run/2026-01-31_14-05-59, with "-2", "-3" behind where that is taken.
std::string make_run_folder(const std::string& snapshot_prefix);

class RunFolder : public RunSink {
 public:
  // Makes the folder (its parents too) and opens its files; one that is there is written on. A failure is an
  // Error that says why: the run can go on without.
  explicit RunFolder(const std::string& path);

  void begin(const RunInfo& info) override;
  void train_display(const TrainDisplay& display, const TrainPace& pace) override;
  void test_result(const TestResult& result, double seconds) override;
  void snapshot(const SnapshotFiles& files) override;
  void end(const RunEnd& end) override;

 private:
  using Clock = std::chrono::steady_clock;

  double seconds() const;
  void write_report();
  void write_text(const char* name, const std::string& text);
  // Tells of the first failure, once.
  void check(const std::string& problem);

  std::string path_;
  AppendFile metrics_;
  AppendFile events_;
  std::string net_text_, solver_text_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_report_{};
  bool told_ = false;
};

}  // namespace trainer
