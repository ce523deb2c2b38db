// What a net in one phase is compiled to: a program for each kind of pass and shape of batch.
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

namespace trainer {

// Train programs write parameter gradients to the states "gradients/<parameter>"; kAccumulate adds to what is there.
// kExtent finds the next extent that a batch's data decide, and the debug kinds find what debug_info says of the
// others: these change nothing.
enum class ProgramKind { kForward, kTrain, kAccumulate, kExtent, kDebugForward, kDebugTrain, kDebugAccumulate };
inline bool makes_gradients(ProgramKind kind) {
  return kind == ProgramKind::kTrain || kind == ProgramKind::kAccumulate;
}

struct NetProgram {
  ProgramKind kind{};
  std::vector<Shape> shapes;     // of the streams' tops
  std::vector<int64_t> extents;  // decided by data; empty where the net has none, or for their largest
  std::unique_ptr<Program> program;
  // What each pass tells: the loss where there is one, then how many labels of each of these consumers are bad. A
  // program with a backward pass watches them, and does not wait for that; behind others they come as late results.
  bool has_loss = false;
  std::vector<std::string> label_flags;
  std::vector<int> outputs, kept;  // results
  // Of all but those that only look: what each pass tells and, where they are few numbers, the outputs.
  std::unique_ptr<AsyncResults> late;
  bool sends_outputs = false;
  std::vector<std::unique_ptr<DeviceBlock>> inputs;  // zeros for Input layers
  std::map<std::string, Shape> carried;              // shapes of its carried states, by name
  DebugInfo debug_info;                              // of the debug kinds
};

class NetPrograms {
 public:
  // Lowers the net for the shapes of the first batch. Throws with all problems found.
  NetPrograms(const NetInPhase& net, DataLayers& data, const CarriedStates& carried, Diagnostics* warnings);

  // For the first batch.
  const LoweredNet& lowered() const { return *lowered_; }

  // Before the first program: blobs that stay readable, by Caffe's names, of which an unknown one is a config_error;
  // and that layers that write files write none.
  void keep_blobs(const std::vector<std::string>& names);
  void write_no_files() { writes_files_ = false; }

  // For the batch that comes next, extents at their largest. Programs are made unless known, and good until the next
  // but one call.
  NetProgram& next(ProgramKind kind);
  NetProgram& find(ProgramKind kind, const std::vector<Shape>& shapes, const std::vector<int64_t>& extents);
  // One like it that has each op of the graph as a step of its own.
  NetProgram unfused(const NetProgram& program);

 private:
  std::unique_ptr<LoweredNet> lower(ProgramKind kind, const std::vector<Shape>& shapes,
                                    const std::vector<int64_t>& extents, Diagnostics* problems) const;
  std::vector<std::string> blob_names() const;
  std::vector<std::string> tops_of_layer(const std::string& name) const;
  NetProgram& use(std::list<NetProgram>::iterator known);
  NetProgram make(ProgramKind kind, const std::vector<Shape>& shapes, const std::vector<int64_t>& extents,
                  Fusion fusion);
  void send_results(std::vector<int> told, NetProgram* out) const;
  void add_gradients(LoweredNet& net, bool accumulate);
  void check_parameter_shapes(const LoweredNet& net, const std::vector<Shape>& shapes) const;
  void warn_of_no_gradient(const LoweredNet& net, const ParameterInfo& parameter);
  std::unique_ptr<Program> compiled(Module module, Fusion fusion) const;

  const NetInPhase net_;
  DataLayers& data_;
  const CarriedStates& carried_;
  Diagnostics& warnings_;
  std::unique_ptr<LoweredNet> lowered_;
  std::list<NetProgram> programs_;  // most recently used first
  std::vector<std::string> kept_;
  bool writes_files_ = true;
};

}  // namespace trainer
