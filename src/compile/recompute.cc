// Recomputes cheap forward values in the backward pass instead of keeping them.
//
// A kept value costs a store in the forward pass, a load in the backward pass, and memory in between. A map whose
// operands are kept anyway costs only arithmetic, which the memory traffic of the backward map that reads it hides.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "compile/passes.h"

namespace trainer {
namespace {

constexpr int64_t kSmall = 4096;  // elements below which the cost of keeping a value is negligible
constexpr int kMaxNodes = 24;     // arithmetic nodes per element above which keeping the value is cheaper

class Chooser {
 public:
  explicit Chooser(const Graph& graph) : graph_(graph), kept_(graph.values.size(), false) {
    for (const Op& op : graph.ops) {
      for (int input : op.inputs) {
        const bool kept_anyway = !is_candidate(input) || op.kind != OpKind::kMap;
        if (op.pass() != Pass::kForward && kept_anyway) kept_[static_cast<size_t>(input)] = true;
      }
    }
  }

  std::set<int> choose() {
    std::set<int> read_backward, chosen;
    for (const Op& op : graph_.ops) {
      if (op.pass() == Pass::kForward || op.kind != OpKind::kMap) continue;
      for (int input : op.inputs) {
        if (is_candidate(input)) read_backward.insert(input);
      }
    }
    for (int value : read_backward) {  // ids ascend in the order of computation
      if (kept_[static_cast<size_t>(value)]) continue;
      std::set<int> leaves, visited;
      int nodes = 0;
      expand(value, &leaves, &visited, &nodes);
      if (leaves.size() > 1 || nodes > kMaxNodes) {
        kept_[static_cast<size_t>(value)] = true;
        continue;
      }
      for (int leaf : leaves) kept_[static_cast<size_t>(leaf)] = true;
      chosen.insert(value);
    }
    return chosen;
  }

  // Whether a value can be recomputed: it is an unreduced result of a forward map, and not small.
  bool is_candidate(int value) const {
    const ValueInfo& info = graph_.values[static_cast<size_t>(value)];
    const Op& op = graph_.ops[static_cast<size_t>(info.producer)];
    return op.kind == OpKind::kMap && op.pass() == Pass::kForward && !op.as<MapBody>().reduces() &&
           info.desc.shape.count() >= kSmall;
  }

  // Collects in `leaves` the values that a recomputation of `value` reads and that are not kept yet, in `visited` the
  // values that it recomputes, and in `nodes` its arithmetic nodes.
  void expand(int value, std::set<int>* leaves, std::set<int>* visited, int* nodes) const {
    if (!visited->insert(value).second) return;
    const Op& op = graph_.producer(value);
    *nodes += op.as<MapBody>().arithmetic_nodes();
    for (int input : op.inputs) {
      const Op& producer = graph_.producer(input);
      const bool lasting = producer.kind == OpKind::kSource || producer.kind == OpKind::kStateRead;
      if (lasting || kept_[static_cast<size_t>(input)] || graph_.desc(input).shape.count() < kSmall) continue;
      if (is_candidate(input)) {
        expand(input, leaves, visited, nodes);
      } else {
        leaves->insert(input);
      }
    }
  }

 private:
  const Graph& graph_;
  std::vector<bool> kept_;
};

class Recomputation {
 public:
  Recomputation(const Graph& graph, const std::set<int>& chosen)
      : graph_(graph), chosen_(chosen), clones_(graph.values.size(), -1) {}

  Module run(const Module& module) {
    Rewriter rewriter(graph_);
    for (const Op& op : graph_.ops) {
      if (op.pass() == Pass::kForward || op.kind != OpKind::kMap) {
        rewriter.copy(op);
        continue;
      }
      Op moved = op;
      for (int& input : moved.inputs) input = chosen_.count(input) ? clone(&rewriter, input) : rewriter.mapped(input);
      rewriter.append_for(op.outputs, std::move(moved));
    }
    return rewriter.finish(module);
  }

 private:
  int clone(Rewriter* rewriter, int value) {
    int& known = clones_[static_cast<size_t>(value)];
    if (known >= 0) return known;
    Op op = graph_.producer(value);
    // The operands of a chosen value are chosen themselves, or kept, or small.
    for (int& input : op.inputs) input = chosen_.count(input) ? clone(rewriter, input) : rewriter->mapped(input);
    for (LayerShare& share : op.shares) share.pass = Pass::kBackward;
    clones_[static_cast<size_t>(value)] = rewriter->append(std::move(op), {graph_.desc(value)}).front();
    return clones_[static_cast<size_t>(value)];
  }

  const Graph& graph_;
  const std::set<int>& chosen_;
  std::vector<int> clones_;
};

}  // namespace

Module recompute_cheap_maps(const Module& module) {
  const Graph& graph = *module.graph;
  Chooser chooser(graph);
  std::set<int> chosen = chooser.choose();
  // The maps between a chosen value and the kept values are recomputed with it.
  std::set<int> all;
  for (int value : chosen) {
    std::set<int> leaves, visited;
    int nodes = 0;
    chooser.expand(value, &leaves, &visited, &nodes);
    all.insert(visited.begin(), visited.end());
  }
  return Recomputation(graph, all).run(module);
}

}  // namespace trainer
