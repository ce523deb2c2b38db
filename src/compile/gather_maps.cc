// Gathers maps that share launches.
//
// The branches of a net have maps of the same formula: gradients of relus after the slice of a concat's gradient, batch
// norms of the two sides of a residual block. A map moves up to an earlier one of its formula if both are independent,
// and if that needs no more memory.
#include <algorithm>

#include "compile/passes.h"

namespace trainer {
namespace {

constexpr int64_t kSmall = 1024;  // elements; smaller maps share launches if they follow each other
constexpr int kWindow = 32;       // ops that a map may move past
constexpr size_t kMaxBefore = 3;  // ops that move with a map because it depends on them: a convolution and views of it

class MapGathering {
 public:
  explicit MapGathering(const Module& module)
      : module_(module),
        graph_(*module.graph),
        readers_(readers_of(graph_)),
        lasting_(lasting_values(module)),
        placed_(graph_.ops.size(), false),
        rewriter_(graph_) {}

  Module run() {
    const int count = static_cast<int>(graph_.ops.size());
    for (int op = 0; op < count; ++op) {
      if (placed_[static_cast<size_t>(op)]) continue;
      std::vector<int> group{op};
      for (int other = op + 1; is_large_map(op) && other < std::min(count, op + kWindow); ++other)
        add_if_possible(other, &group);
      for (int member : group) place(member);
    }
    return rewriter_.finish(module_);
  }

 private:
  const Op& op_of(int op) const { return graph_.ops[static_cast<size_t>(op)]; }
  int producer_of(int value) const { return graph_.values[static_cast<size_t>(value)].producer; }
  bool is_placed(int op) const { return placed_[static_cast<size_t>(op)]; }

  bool is_large_map(int op) const {
    return op_of(op).kind == OpKind::kMap && !op_of(op).inputs.empty() &&
           op_of(op).as<MapBody>().domain.count() > kSmall;
  }
  bool have_one_formula(int a, int b) const {
    const MapBody &f = op_of(a).as<MapBody>(), &g = op_of(b).as<MapBody>();
    return f.nodes == g.nodes && f.outputs == g.outputs;
  }

  void place(int op) {
    rewriter_.copy(op_of(op));
    placed_[static_cast<size_t>(op)] = true;
  }

  // Adds a map to a group of maps, which are placed next, and places the ops that it depends on.
  void add_if_possible(int op, std::vector<int>* group) {
    const int first = group->front();
    if (is_placed(op) || !is_large_map(op) || !have_one_formula(first, op)) return;
    std::vector<int> before;
    if (!find_before(op, *group, &before)) return;
    before.pop_back();  // the map
    if (needs_memory(op)) return;
    for (int needed : before) place(needed);
    group->push_back(op);
  }

  // Appends an op and before it those that it depends on and that are not placed, in order. Returns false if it depends
  // on the group or too many would move.
  bool find_before(int op, const std::vector<int>& group, std::vector<int>* before) const {
    if (is_placed(op) || std::count(before->begin(), before->end(), op) > 0) return true;
    if (std::count(group.begin(), group.end(), op) > 0 || op_of(op).pass() != op_of(group[0]).pass()) return false;
    for (int input : op_of(op).inputs) {
      if (!find_before(producer_of(input), group, before)) return false;
    }
    before->push_back(op);
    return before->size() <= kMaxBefore + 1;
  }

  // Whether the results of a map at this place take more memory than the operands that nothing reads after it.
  bool needs_memory(int op) const {
    const MapBody& body = op_of(op).as<MapBody>();
    int64_t bytes = 0;
    for (size_t i = 0; i < body.outputs.size(); ++i) {
      if (body.outputs[i].reduction == Reduction::kNone) bytes += graph_.desc(op_of(op).outputs[i]).bytes();
    }
    for (int input : op_of(op).inputs) {
      const OpKind kind = graph_.producer(input).kind;
      if (kind == OpKind::kSource || kind == OpKind::kStateRead || lasting_[static_cast<size_t>(input)]) continue;
      const auto& readers = readers_[static_cast<size_t>(input)];
      const bool ends =
          std::all_of(readers.begin(), readers.end(), [&](int reader) { return reader == op || is_placed(reader); });
      if (ends) bytes -= graph_.desc(input).bytes();
    }
    return bytes > 0;
  }

  const Module& module_;
  const Graph& graph_;
  const std::vector<std::vector<int>> readers_;
  const std::vector<bool> lasting_;
  std::vector<bool> placed_;
  Rewriter rewriter_;
};

}  // namespace

Module gather_maps(const Module& module) { return MapGathering(module).run(); }

}  // namespace trainer
