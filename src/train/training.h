// A training: Caffe's order of test, forward, backward, update, display, snapshot and stop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "report/run_report.h"
#include "session/assign_tensors.h"
#include "session/net_session.h"
#include "train/configure_training.h"
#include "train/memory_plan.h"
#include "train/rate_scaling.h"

namespace trainer {

class Group;
struct SavedStates;
class TrainingLoop;
class TrainingStart;
struct TrainingState;

// The request of a signal; polled after each update and before each test batch.
struct StopRequest {
  enum Kind : uint8_t { kNone, kSnapshot, kStop };
  StopRequest(Kind kind = kNone, int signal = 0) : kind(kind), signal(signal) {}
  Kind kind;
  int signal;  // that asked to stop; 0 for none
};

// How a run ended. kNewcomers: after a snapshot, for a meeting with processes that wait to take part.
enum class TrainingEnd { kDone, kStoppedEarly, kStopped, kOutOfTime, kNewcomers };
// Whether nothing is left to train.
inline bool is_complete(TrainingEnd end) { return end == TrainingEnd::kDone || end == TrainingEnd::kStoppedEarly; }

// A value of TrainingOptions::snapshot: the newest intact snapshot of the solver's prefix, or a fresh start.
inline constexpr const char* kLatestSnapshot = "auto";

struct TrainingOptions {
  std::vector<DeviceSpec> devices = {DeviceSpec()};  // that train together, each on batches of its own
  DeviceOptions device_options;
  int64_t memory = 0;          // bytes that may be planned; 0: no limit
  std::string snapshot;        // solver state to resume from
  bool continues_run = false;  // the snapshot is of the same run: its report continues
  // There is no snapshot: the run was killed before its first one; its report starts over in the same folder.
  bool restarts_run = false;
  std::vector<std::string> weights;  // weight files to start from
  WeightMatching matching;           // of their tensors
  std::string run_folder;            // folder of the report; "" for none
  bool new_run_folder = false;       // the report gets a new folder beside the snapshots
  std::string command_line;          // for the report
  // For memory plans: ignores the memory that is free, and does not run.
  bool plans_only = false;
  // The processes that train together; outlives the training. The first one loads weights or snapshot and writes all
  // files.
  Group* group = nullptr;
  RateScaling rate_scaling = RateScaling::kNone;
  // Replaces weights and snapshot: all processes take the state of the process with the most iterations.
  const SavedStates* saved = nullptr;
  int64_t max_seconds = 0;  // takes precedence over the max_time of the solver; 0: the solver's
  std::function<StopRequest()> poll = [] { return StopRequest::kNone; };
};

class Training {
 public:
  // Builds and checks everything: nets, data, memory, the snapshot folder. Writes no file.
  Training(TrainingFiles files, const TrainingOptions& options);
  ~Training();

  // Trains to the end, until early_stop, a stop request or until the time is over, which starts with the constructor.
  // If the loss is not finite and divergence allows no retry, throws an Error with ExitCode::kDiverged that names the
  // first bad layer. Bad data end the run after a last snapshot. After a RankFailed the training is at the start of the
  // iteration that failed, and its report, which must still exist, is not finished: see take_states and end_after_loss.
  TrainingEnd run(RunReport& report);
  // The signal that stopped run(), in this process or another one; 0 for none.
  int stop_signal() const;

  // After run() ended with kNewcomers or RankFailed, for a training with other processes: its states; nullopt if it
  // ended before the first iteration began.
  std::optional<SavedStates> take_states() const;
  // After run() threw RankFailed, if the processes do not meet again. `writes`: this process writes a last snapshot.
  // Finishes the report, and returns how to continue.
  std::string end_after_loss(bool writes, RunReport& report);

  // Loads weights or the snapshot as run() does, to check them: reports what was loaded, and writes no file.
  void load(RunReport& report);

  // Iterations done.
  int iteration() const;
  NetSession& train_net();
  const Device& device() const;  // the first one
  MemoryPlan memory_plan() const;
  // Writes the weights of the training net as they are now.
  void save_weights(const std::string& path) const;

 private:
  void begin_report(const TrainingStart& start, RunReport& report);

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const TrainingOptions options_;
  const std::unique_ptr<TrainingState> state_;
  std::unique_ptr<TrainingLoop> loop_;
  std::unique_ptr<TrainingStart> lock_holder_;  // after RankFailed: the snapshots remain locked
};

}  // namespace trainer
