// The compiled programs of a net in one phase: one for each kind of pass and shape of batch.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compile/compile.h"
#include "runtime/async_results.h"
#include "session/carried_states.h"
#include "session/data_layers.h"
#include "session/debug_info.h"
#include "session/input_arrays.h"

namespace trainer {

class GroupSums;

// Train programs write parameter gradients to the gradient states (state_names.h); kAccumulate adds to them. kExtent
// computes the next extent that depends on the data of a batch, and the debug kinds compute the values of debug_info
// for the other kinds. kExtent and the debug kinds write no state.
enum class ProgramKind { kForward, kTrain, kAccumulate, kExtent, kDebugForward, kDebugTrain, kDebugAccumulate };
inline bool makes_gradients(ProgramKind kind) {
  return kind == ProgramKind::kTrain || kind == ProgramKind::kAccumulate;
}

struct NetProgram {
  ProgramKind kind{};
  std::vector<Shape> shapes;     // of the streams' tops, then of the input arrays
  std::vector<int64_t> extents;  // that depend on data; empty if the net has none, or for the largest ones
  std::unique_ptr<Program> program;
  // The host reads these after each pass: the loss, if there is one, then the number of bad labels of each consumer. A
  // program with a backward pass watches them, so that the host can read them before that pass ends.
  bool has_loss = false;
  std::vector<std::string> label_flags;
  std::vector<int> outputs, kept;  // results
  // Results of a program that measures: divisor and sum of each output's averaging, if it has them, then the value
  // of each loss term with the same; and all values of all metrics.
  std::vector<int> measured, counted;
  // Of kForward, kTrain and kAccumulate: the numbers above and, if they are few, the outputs, measures and counts.
  std::unique_ptr<AsyncResults> async_results;
  bool sends_outputs = false;
  // Memory of sources that neither a stream nor an array of the host provides, by their index: zeros, or copies of
  // arrays.
  std::map<int, std::unique_ptr<DeviceBlock>> inputs;
  std::map<std::string, Shape> carried;  // shapes of the carried states, by name
  DebugInfo debug_info;                  // of the debug kinds
};

class NetPrograms {
 public:
  // Lowers the net for the shapes of the first batch. Throws with all problems found, and with those of the data layers
  // that `problems` holds; warnings are added to it.
  NetPrograms(const NetInPhase& net, DataLayers& data, const InputArrays& inputs, const CarriedStates& carried,
              Diagnostics* problems);

  // For the first batch.
  const LoweredNet& lowered() const { return *lowered_; }

  // Before the first program: keeps these blobs readable, by Caffe's names; an unknown one is a config_error.
  void keep_blobs(const std::vector<std::string>& names);
  // Before the first program: layers that write files write none.
  void write_no_files() { writes_files_ = false; }

  // Before the first program: forward programs also compute what tests of whole data sets and metrics need.
  void measure() { measures_ = true; }

  // Freezes what these patterns match, and nothing else; lowered() stays as it is. Discards the programs.
  void freeze(const std::vector<std::string>& patterns);

  // The program for the next batch, with data-dependent extents at their largest.
  std::shared_ptr<NetProgram> next(ProgramKind kind);
  // Keeps the programs used last and compiles the others again. The first program starts the data streams.
  // `data_shapes`: of the streams' tops.
  std::shared_ptr<NetProgram> get_or_compile(ProgramKind kind, const std::vector<Shape>& data_shapes,
                                             const std::vector<int64_t>& extents);
  // Whether sums over the processes that train together are those of the last pass: for a pass that this process
  // repeats alone.
  void repeat_sums(bool repeats);
  // Spent so far in these sums, which wait for the slowest process.
  double seconds_in_sums() const;
  // A program of the same kind and shapes with one step for each op of the graph.
  NetProgram unfused(const NetProgram& program);

 private:
  std::unique_ptr<LoweredNet> lower(ProgramKind kind, const std::vector<Shape>& shapes,
                                    const std::vector<int64_t>& extents, Diagnostics* problems) const;
  std::vector<std::string> blob_names() const;
  std::vector<std::string> tops_of_layer(const std::string& name) const;
  std::shared_ptr<NetProgram> use(std::list<std::shared_ptr<NetProgram>>::iterator known);
  void add_results(NetProgram& made, LoweredNet& net, Module& module, std::vector<int>* read_each_pass) const;
  void add_measures(NetProgram& made, const LoweredNet& net, Module& module) const;
  void check_last_batch(Diagnostics* problems) const;
  void write_pass_loss(LoweredNet& net, const std::vector<Value>& bad_labels) const;
  void add_debug_results(NetProgram& made, LoweredNet& net, Module& module) const;
  void bind_inputs(NetProgram& made) const;
  NetProgram compile_program(ProgramKind kind, const std::vector<Shape>& shapes, const std::vector<int64_t>& extents,
                             Fusion fusion);
  void send_results(std::vector<int> results, NetProgram* out) const;
  void add_gradients(LoweredNet& net, bool accumulate);
  void check_parameter_shapes(const LoweredNet& net, const std::vector<Shape>& shapes) const;
  void warn_of_no_gradient(const LoweredNet& net, const ParameterInfo& parameter);
  std::unique_ptr<Program> compiled(Module module, Fusion fusion) const;

  NetInPhase net_;
  DataLayers& data_;
  const InputArrays& inputs_;
  const CarriedStates& carried_;
  Diagnostics& warnings_;
  const std::shared_ptr<GroupSums> group_sums_;  // nullptr unless processes of one device each train together
  std::unique_ptr<LoweredNet> lowered_;
  std::list<std::shared_ptr<NetProgram>> programs_;  // most recently used first
  std::vector<std::string> kept_;
  bool writes_files_ = true, measures_ = false, warned_of_gradients_ = false;
};

}  // namespace trainer
