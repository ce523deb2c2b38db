// The events of a run, from the training loop to the report's sinks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/events.h"

namespace trainer {

struct RunInfo {
  std::string net_name;
  std::string solver_type;    // "SGD"
  std::string device;         // "CPU, 2 threads"
  std::string command_line;   // the command line of the run
  std::string net_text;       // the effective net and solver, in prototxt
  std::string test_net_text;  // of the first test net; "" without one
  std::string solver_text;
  std::vector<std::string> class_names;  // by label; empty if unknown
  std::string folder;                    // run folder; "" for none
  std::string log_path;                  // of the log alone, without a run folder; "" for none
  std::string snapshot_prefix;
  int64_t first_iteration = 0;  // above 0 if a snapshot is resumed
  // The snapshot at first_iteration, if the folder has the report of the same run until then; without files if the run
  // begins again.
  std::optional<SnapshotFiles> continued;
  uint32_t retries = 0;  // of divergence until first_iteration
  int64_t max_iteration = 0;
  int64_t display = 0;               // iterations between train_display calls; 0: none
  int64_t images_per_iteration = 0;  // batch times iter_size; 0 if unknown
  int64_t images_per_epoch = 0;      // records of the data set; 0 if unknown
};

// Sent at each displayed iteration, before its update.
struct TrainDisplay {
  int64_t iteration = 0;
  double loss = 0;  // smoothed
  double learning_rate = 0;
  double data_wait_seconds = 0;
  std::vector<OutputValue> outputs;
};

// Filled in by RunReport: rates since the previous display, without the time of tests.
struct TrainPace {
  double seconds = 0;
  double iterations_per_second = 0;
  double images_per_second = 0;  // 0 if unknown
  double data_wait_share = 0;    // 0 to 1
};

// A test with the best value of the metric so far, after its weights are written.
struct NewBest {
  int64_t iteration = 0;
  std::string metric;
  double value = 0;
  std::string weights;
  uint32_t retries = 0;  // of divergence so far
};

// The training goes back after a loss that is not finite.
struct Retry {
  int64_t iteration = 0;        // of the loss
  int64_t first_iteration = 0;  // from which the training continues
  std::string snapshot;         // from which it continues; "": from its start
  uint32_t number = 0, most = 0;
  double rate_factor = 0;  // of the learning rate from then on
};

struct RunEnd {
  int64_t iteration = 0;
  std::string outcome;    // for the report: "done", "stopped by SIGINT", "diverged"
  bool completed = true;  // nothing is left to train: Caffe's "Optimization Done.", else "Optimization stopped early."
};

// Receives the events of one run, all from the thread of the training loop: begin first, end last.
class RunSink {
 public:
  virtual ~RunSink() = default;
  virtual void begin(const RunInfo& info) = 0;
  virtual void step(const StepProgress& progress) {}
  virtual void train_display(const TrainDisplay& display, const TrainPace& pace) {}
  virtual void test_begin(int64_t iteration, int net) {}
  virtual void test_step(int64_t done, int64_t total) {}
  virtual void test_result(const TestResult& result, double seconds) {}
  virtual void snapshot(const SnapshotFiles& files) {}
  virtual void best(const NewBest& best) {}
  virtual void retry(const Retry& retry) {}
  virtual void final_loss(int64_t iteration, double loss) {}
  virtual void note(const std::string& text) {}
  virtual void warning(const std::string& text) {}
  virtual void end(const RunEnd& end) = 0;
};

// The names of the outputs, made unique: elements of one blob become "name[0]", "name[1]".
std::vector<std::string> series_names(const std::vector<OutputValue>& outputs);

// "10,000 records"; "9,812 items" for an output that counts another number than the records of its test; "" if it is
// not known.
std::string counted_text(const OutputValue& output, int64_t records);
// "0.0055": two digits.
std::string interval_text(double interval);
// "0.9152 ± 0.0055", as exact as the interval; "0.25" for an output without an interval.
std::string value_text(const OutputValue& output);

}  // namespace trainer
