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
#include "report/run_history.h"

namespace trainer {

// Makes SNAPSHOT_PREFIX_run/2026-01-31_14-05-59, with "-2", "-3" behind where that is taken.
std::string make_run_folder(const std::string& snapshot_prefix);

// Held until the end of the run, however it ends.
class FolderLock {
 public:
  FolderLock() = default;
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

  // False where another run holds it; true where the file system has no locks for folders.
  bool take(const std::string& folder);

 private:
  int descriptor_ = -1;  // the folder
};

class RunFolder : public RunSink {
 public:
  // Makes the folder (its parents too) and opens its files; one that is there is written on, but where
  // another run uses it, the next free one of path-2, path-3, ... is made. A failure is an Error that says
  // why: the run can go on without.
  explicit RunFolder(const std::string& path);

  const std::string& path() const { return path_; }

  void begin(const RunInfo& info) override;
  void train_display(const TrainDisplay& display, const TrainPace& pace) override;
  void test_result(const TestResult& result, double seconds) override;
  void snapshot(const SnapshotFiles& files) override;
  void end(const RunEnd& end) override;

 private:
  using Clock = std::chrono::steady_clock;

  double seconds() const;
  void write_metrics(const std::string& lines);
  void write_report();
  void write_text(const char* name, const std::string& text);
  // Tells of the first failure, once.
  void check(const std::string& problem);

  std::string path_;
  FolderLock lock_;
  AppendFile metrics_;
  AppendFile events_;
  RunHistory history_;  // of the folder, earlier runs' too
  std::string net_text_, solver_text_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_report_{};
  bool told_ = false;
};

}  // namespace trainer
