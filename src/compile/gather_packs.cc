// Gathers the conversions of weights and of their gradients: reorders, and the pads and slices of pad_channels.
//
// A pass reads all weights as they are before it, so their conversions can come first. The conversion of a gradient
// waits until its group is complete.
#include "compile/passes.h"

namespace trainer {
namespace {

class Gathering {
 public:
  Gathering(const Module& module, int64_t group_bytes)
      : module_(module),
        full_(group_bytes),
        graph_(*module.graph),
        readers_(readers_of(graph_)),
        lasting_(lasting_values(module)),
        rewriter_(graph_) {}

  Module run() {
    for (const Op& op : graph_.ops) {
      if (comes_first(op) && !converts(op)) rewriter_.copy(op);
    }
    for (const Op& op : graph_.ops) {
      if (comes_first(op) && converts(op)) rewriter_.copy(op);
    }
    for (const Op& op : graph_.ops) {
      if (comes_first(op) || waits(op)) continue;
      rewriter_.copy(op);
      for (int output : op.outputs) add_waiting(output);
    }
    end_group();
    return rewriter_.finish(module_);
  }

 private:
  static bool converts(const Op& op) { return op.kind == OpKind::kReorder || op.kind == OpKind::kPad; }
  // A state, or a reshaped or converted state.
  bool comes_first(const Op& op) const {
    if (op.kind == OpKind::kStateRead) return true;
    return (converts(op) || op.kind == OpKind::kReshape) && comes_first(graph_.producer(op.inputs[0]));
  }
  // Whether only the end of the pass reads the result.
  bool waits(const Op& op) const {
    const bool converts_gradient = op.kind == OpKind::kReorder || (op.kind == OpKind::kSlice && op.outputs.size() == 1);
    return converts_gradient && lasting_[static_cast<size_t>(op.outputs[0])] &&
           readers_[static_cast<size_t>(op.outputs[0])].empty() && !comes_first(graph_.producer(op.inputs[0]));
  }
  // Adds the conversions of a value to the group if they wait.
  void add_waiting(int value) {
    for (int reader : readers_[static_cast<size_t>(value)]) {
      const Op& op = graph_.ops[static_cast<size_t>(reader)];
      if (!waits(op)) continue;
      group_.push_back(&op);
      group_bytes_ += graph_.desc(op.outputs[0]).bytes();
      if (group_bytes_ >= full_) end_group();
    }
  }
  void end_group() {
    for (const Op* op : group_) rewriter_.copy(*op);
    group_.clear();
    group_bytes_ = 0;
  }

  const Module& module_;
  const int64_t full_;  // bytes of a group
  const Graph& graph_;
  const std::vector<std::vector<int>> readers_;
  const std::vector<bool> lasting_;
  Rewriter rewriter_;
  std::vector<const Op*> group_;
  int64_t group_bytes_ = 0;
};

}  // namespace

Module gather_packs(const Module& module, int64_t group_bytes) { return Gathering(module, group_bytes).run(); }

}  // namespace trainer
