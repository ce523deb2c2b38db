// The training loop: Caffe's order of test, forward, backward, update, display, snapshot and stop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "report/run_report.h"
#include "session/configure_net.h"
#include "session/gradient_sums.h"
#include "session/loss_scale.h"
#include "session/net_session.h"
#include "session/parameters.h"
#include "train/snapshot.h"
#include "train/update_rule.h"

namespace trainer {

// What a signal asks for; polled after each update and before each test batch.
enum class StopRequest { kNone, kSnapshot, kStop };

struct TrainingOptions {
  std::vector<std::string> devices = {"cpu"};  // that train together, each on batches of its own
  DeviceOptions device_options;
  int64_t memory = 0;                // bytes that may be planned; 0: any
  std::string snapshot;              // solver state to resume from
  std::vector<std::string> weights;  // weight files to start from
  std::string run_folder;            // where the report goes; "" for none
  bool new_run_folder = false;       // it goes into a new folder beside the snapshots
  std::string command_line;          // for the report
  // To plan: nothing is refused for want of memory, and nothing can be run.
  bool plans_only = false;
  std::function<StopRequest()> poll = [] { return StopRequest::kNone; };
};

// A solver with its nets, as read, overridden and checked: what a training is made of.
struct TrainingFiles {
  std::unique_ptr<caffe::SolverParameter> solver;
  Positions solver_positions;
  bool seed_drawn = false;  // the solver gives no random_seed
  FilteredNet train;
  std::vector<FilteredNet> tests;
  std::vector<std::unique_ptr<NetFile>> files;  // own the positions
};

// Memory on each device, in bytes.
struct MemoryPlan {
  int64_t activations = 0, states = 0, batches = 0;
  int64_t free = 0;
  int64_t batch = 0;                      // items of a batch
  double repeated = 0;                    // operations computed again, of all
  std::map<std::string, int64_t> layers;  // what each layer makes in a training pass
  int64_t total() const { return activations + states + batches; }
  // Of what is free: libraries and recorded passes take some beside the plan.
  static constexpr double kUsable = 0.95;
};

class Training {
 public:
  // Builds everything and checks everything: nets, data, weights, memory, the snapshot folder. Nothing is written
  // before run().
  Training(TrainingFiles files, const TrainingOptions& options);
  ~Training();

  // Trains to the end or until asked to stop; true where it was stopped. Throws an Error with ExitCode::kDiverged
  // where the loss is no longer finite, naming the first bad layer. Bad data end the run after a last snapshot.
  bool run(RunReport& report);

  NetSession& train_net() { return *train_; }
  const Device& device() const { return *device_session_.device; }  // the first one
  MemoryPlan memory_plan();

 private:
  // A device with its copy of the net, the weights and the history.
  struct Rank {
    explicit Rank(const std::string& device, const TrainingOptions& options)
        : device_session(device, options.device_options) {}
    DeviceSession device_session;
    const int64_t free = device_session.device->free_memory();  // before anything is taken
    std::unique_ptr<NetSession> net;
    std::unique_ptr<UpdateRule> update;
  };

  static std::vector<std::unique_ptr<Rank>> open_ranks(const TrainingOptions& options);
  void sum_gradients();
  void check_states() const;
  void check_memory() const;
  std::vector<NetSession*> train_nets() const;  // of each rank
  void copy_states();
  int64_t images_per_iteration() const;
  int64_t buffer_bytes() const;
  std::set<std::string> untrained_layers() const;
  bool writes_snapshots() const;
  void check_snapshot() const;
  std::string slow_steps();
  RunInfo run_info() const;
  void loop(RunReport& report);
  // False where a signal stopped it.
  bool test_all(RunReport& report);
  bool test(size_t index, RunReport& report);
  void iterate(bool display, RunReport& report);
  void note_loss(float loss);
  float smoothed_loss() const;
  void display_iteration(float rate, RunReport& report);
  void note_left_out_updates(RunReport& report);
  void snapshot(RunReport& report);
  // One that cannot be written is a warning, and is tried again.
  void try_snapshot(RunReport& report);
  // After an error that ended the loop: writes a last snapshot where that makes sense, and says from which one to go
  // on.
  std::string save_what_is_learned(const Error& error, RunReport& report);
  // For the message: where it begins.
  std::string first_bad_value(const Rank& rank) const;
  [[noreturn]] void fail_diverged(const Rank& rank, float rate);

  TrainingFiles files_;
  TrainingOptions options_;
  std::vector<std::unique_ptr<Rank>> ranks_;  // the first one tests and writes snapshots
  DeviceSession& device_session_;             // of the first rank
  LeftOutUpdates left_out_{*device_session_.device, device_session_.store};
  NetSession* train_ = nullptr;
  std::vector<std::unique_ptr<NetSession>> tests_;
  std::unique_ptr<GradientSums> sums_;
  LoopState loop_;
  std::string last_snapshot_;  // its state's file
  int saved_iteration_ = 0;    // of the last snapshot, or where the run began
  bool snapshot_failed_ = false;
  // Where the test nets stood when the test began that is under way or was given up: a resumed training tests again.
  std::vector<NetPosition> before_test_;
  bool stop_ = false;
};

}  // namespace trainer
