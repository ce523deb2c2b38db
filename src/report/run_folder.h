// The run folder: the results of a run for people and programs.
//
//   net.prototxt, solver.prototxt   as used by the run
//   test_net.prototxt               the first test net, if there is one
//   labels.txt                      the names of the classes, one in a line, if they are known
//   train.log                       the log's lines (log_file.h writes it)
//   metrics.jsonl                   every displayed value, one JSON object per line
//   results.json                    the last result of each test net and the best (test_json.h), replaced by each test
//   events.out.tfevents.*           the same values for TensorBoard
//   report.html                     charts, updated at snapshots, tests and the end
//
// Lines of metrics.jsonl: {"event":"begin",...}, {"event":"snapshot",...}, {"event":"best",...}, {"event":"retry",...},
// {"event":"end",...}, and for values
//   {"iteration":100,"split":"train","name":"loss","value":0.5,"loss_weight":1,"seconds":1.5,"lr":0.01}
// with "value":null,"not_finite":"nan" (or "inf", "-inf") if a value is not finite.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "report/append_file.h"
#include "report/run_events.h"
#include "report/run_history.h"

namespace trainer {

// Creates SNAPSHOT_PREFIX_run/2026-01-31_14-05-59, with "-2", "-3" appended if that name exists.
std::string make_run_folder(const std::string& snapshot_prefix);

// The newest folder that make_run_folder has made for this prefix; "" if there is none.
std::string newest_run_folder(const std::string& snapshot_prefix);

// Whether the report in the folder is that of a run of this command line that was killed before its first snapshot, or
// was not begun.
bool is_unsaved_run(const std::string& folder, const std::string& command_line);

// The snapshot prefix of the run that wrote the report in the folder last; "" if the report does not say.
std::string prefix_of_report(const std::string& folder);

// Whether the report in the folder says that the training was complete after this number of iterations.
bool is_complete_report(const std::string& folder, int64_t iterations);

// A lock that is held until the run ends for any reason.
class FolderLock {
 public:
  FolderLock() = default;
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

  // False if another run holds the lock; true if the file system has no locks for folders.
  bool take(const std::string& folder);

 private:
  int descriptor_ = -1;  // of the folder
};

class RunFolder : public RunSink {
 public:
  // Creates the folder and its parents, and opens its files. An existing folder is appended to; if another run uses it,
  // the first unused path of path-2, path-3, ... is created. With `continued`, a run that wrote to the folder continues
  // from this point: what it wrote after it is removed. Throws an Error on failure; the run can continue without a
  // folder.
  explicit RunFolder(const std::string& path, const std::optional<RunPoint>& continued = std::nullopt);

  const std::string& path() const { return path_; }

  void begin(const RunInfo& info) override;
  void train_display(const TrainDisplay& display, const TrainPace& pace) override;
  void test_result(const TestResult& result, double seconds) override;
  void snapshot(const SnapshotFiles& files) override;
  void best(const NewBest& best) override;
  void retry(const Retry& retry) override;
  void end(const RunEnd& end) override;

 private:
  using Clock = std::chrono::steady_clock;

  double seconds() const;
  void go_back(const RunPoint& point);
  void open_files();
  void write_metrics(const std::string& lines);
  // The results of tests before this iteration.
  void continue_results(int64_t iteration);
  void keep_result(const TestResult& result);
  void write_results();
  void write_report();
  void write_text(const char* name, const std::string& text);
  // Reports the first failure, once.
  void check(const std::string& problem);

  std::string path_;
  FolderLock lock_;
  AppendFile metrics_;
  AppendFile events_;
  RunHistory history_;  // of the folder, including earlier runs
  std::string net_text_, solver_text_;
  double earlier_seconds_ = 0;  // of the run until it was continued
  std::vector<std::string> class_names_;
  std::vector<TestResult> tests_;  // the last one of each test net, in their order
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_report_{};
  bool warned_ = false;
};

}  // namespace trainer
