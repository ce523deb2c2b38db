// The C++ interface of libtrainer.so: opens and runs nets, and trains solvers, as the program `trainer` does.
//
// Options take the values of the flags of the program. Every function may throw trainer::Error, whose text and
// code are those that the program shows and exits with.
//
// Threads: one thread at a time uses a Net or a Solver; different ones may be used in different threads at the same
// time. On the CPU each object computes with `threads` OpenMP threads of the calling thread, so objects that compute at
// the same time should share the cores. No function changes OpenMP settings or the floating-point mode of its caller.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/error.h"
#include "trainer/events.h"

namespace trainer {

// Extents of a blob, in Caffe's axes: batch, channels, height, width.
using Dims = std::vector<int64_t>;

// Version of the library, such as "0.1.0".
const char* version();

enum class LogLevel { kInfo, kWarning };
// Receives each line of the log, without a prefix. Called in the thread that calls the library.
using LogFunction = std::function<void(LogLevel level, std::string_view line)>;

enum class RunPhase { kTrain, kTest };

// The options of nets and solvers.
struct RunOptions {
  // "cpu"; of GPUs "0", "auto", for a solver also "0,1", "all"; "": the CPU, or what the solver's solver_mode says.
  std::string device;
  std::string precision = "fp32";   // "fp32", "tf32", "bf16", "fp16"
  bool deterministic = false;       // the same bits each time on a GPU
  int threads = 0;                  // on the CPU; 0: OMP_NUM_THREADS, or the cores of the process
  std::vector<std::string> set;     // changes of fields: "layer[conv1].convolution_param.num_output=32"
  std::vector<std::string> fill;    // Input layers filled by a value: "data=0.5", or at random: "data=gaussian"
  std::vector<std::string> stages;  // of the net's state, for include and exclude rules
  std::optional<int> level;         // of the net's state
  LogFunction log;                  // none: no line is shown
};

struct NetOptions : RunOptions {
  std::string model;       // the prototxt file of the net, or
  std::string model_text;  // the text itself
  RunPhase phase = RunPhase::kTest;
  std::string weights;                 // a file or a published name; none without learned blobs or with allow_fresh
  bool allow_fresh = false;            // compute with layers that the weights lack, as their fillers make them
  std::map<std::string, Dims> inputs;  // shapes of tops of Input layers, in place of those that the net gives
  std::vector<std::string> keep;       // more blobs to read than the outputs
};

// A net with its weights on a device.
class Net {
 public:
  explicit Net(const NetOptions& options);
  ~Net();
  Net(Net&&) noexcept;
  Net& operator=(Net&&) noexcept;

  // Tops of Input layers, in the order of the net.
  std::vector<std::string> inputs() const;
  // Blobs that no layer reads, in byte order of their names.
  std::vector<std::string> outputs() const;
  // Extents of an output or a kept blob in the last pass, or before it in the net as opened; those of an input now.
  Dims shape(const std::string& blob) const;

  // The array that fills this input, row-major, in each pass until another one is set. The array is not copied: it must
  // stay valid as long. With `dims` the input takes these extents; the first pass of each shape compiles the net for
  // it.
  void set_input(const std::string& input, std::span<const float> values);
  void set_input(const std::string& input, std::span<const float> values, const Dims& dims);

  // Runs the net once. Data layers take their next batch. All inputs must be set.
  void forward();
  // Weighted sum of all losses in the last pass; 0 for a net without a loss.
  float loss() const;
  // Values of an output or a kept blob in the last pass, row-major.
  std::vector<float> read(const std::string& blob) const;
  // The same into an array that has exactly the number of elements.
  void read(const std::string& blob, std::span<float> values) const;

  // Layers with learned blobs, and their blobs in Caffe's order.
  std::vector<std::string> learned_layers() const;
  int learned_blobs(const std::string& layer) const;
  Dims learned_shape(const std::string& layer, int blob) const;
  std::vector<float> read_learned(const std::string& layer, int blob) const;
  void write_learned(const std::string& layer, int blob, std::span<const float> values);

  // Writes a .caffemodel, or a .caffemodel.h5 if the name ends with ".h5". Replaces an existing file.
  void save_weights(const std::string& path) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct SolverOptions : RunOptions {
  std::string solver;                // the prototxt file of the solver, or
  std::string solver_text;           // the text itself, with a snapshot_prefix if it writes snapshots
  std::vector<std::string> weights;  // files or published names to start from, later ones over earlier ones
  std::string snapshot;              // the solver state to resume from; "auto": the newest intact one, if any
  bool scale_batch = false;          // split batch_size among the GPUs
  std::string memory;                // plan for at most so much: "800M", "1.5G"
  std::string run_folder;            // folder of log, metrics and report; "": none
};

// The answer of a callback after an iteration.
enum class TrainRequest { kContinue, kSnapshot, kStop };

// Called in the thread that calls train(). A callback must not use the Solver that calls it. Its exceptions end the
// training and leave train().
struct TrainCallbacks {
  std::function<TrainRequest(const StepProgress&)> iteration;
  std::function<void(const TestResult&)> test;  // with tables of classes and confusion matrices
  std::function<void(const SnapshotFiles&)> snapshot;
};

// A training: nets, data, weights and history on one or more devices.
class Solver {
 public:
  explicit Solver(const SolverOptions& options);
  ~Solver();
  Solver(Solver&&) noexcept;
  Solver& operator=(Solver&&) noexcept;

  // Trains to max_iter or early_stop, until a callback asks to stop or until the max_time of the solver is over, and
  // returns whether nothing is left to train. A stop writes the snapshot that the solver's snapshot_after_train asks
  // for. To be called once.
  bool train(const TrainCallbacks& callbacks = {});

  // Writes the weights of the training net as they are now, as Net::save_weights does.
  void save_weights(const std::string& path) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trainer
