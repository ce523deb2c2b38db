// Recomputes stored values in the maps that read them.
//
// After fusion it is known what each map reads. The gradient of a relu reads the relu's result, and the gradient of the
// batch norm before the relu, in the same map, reads what this result was computed from. If the map computes the result
// again, it reads one tensor less. A value that all its readers compute again is not stored.
#include <algorithm>
#include <map>
#include <set>

#include "compile/passes.h"

namespace trainer {
namespace {

constexpr int64_t kSmall = 4096;  // elements below which the cost of reading a value is negligible
constexpr int kMaxCost = 12;      // additions and multiplications per element, for one value

// The part of a map that computes one of its results.
struct Recipe {
  MapBody body;
  std::vector<int> inputs;
  int cost = 0;
};
using Recipes = std::map<int, Recipe>;  // by value

// Copies the nodes of one result. An operand that the map recomputes itself is replaced by its recipe.
class RecipeBuilder {
 public:
  explicit RecipeBuilder(const Recipes& recomputed) : recomputed_(recomputed) {}

  Recipe build(const MapBody& body, const std::vector<int>& inputs, size_t result) {
    recipe_.body.domain = body.domain;
    recipe_.body.outputs = {{copy(body, inputs, result), Reduction::kNone, {}}};
    return std::move(recipe_);
  }

 private:
  int copy(const MapBody& body, const std::vector<int>& inputs, size_t result) {
    std::vector<int> copies(body.nodes.size(), -1);
    return copy_node(body, inputs, body.outputs[result].node, &copies);
  }

  int copy_node(const MapBody& body, const std::vector<int>& inputs, int index, std::vector<int>* copies) {
    int& known = (*copies)[static_cast<size_t>(index)];
    if (known >= 0) return known;
    MapNode node = body.nodes[static_cast<size_t>(index)];
    const int arguments = arity_of(node.fn);
    if (node.fn == Fn::kInput) {
      const int value = inputs[static_cast<size_t>(node.a)];
      const auto inner = recomputed_.find(value);
      if (inner != recomputed_.end()) return known = copy(inner->second.body, inner->second.inputs, 0);
      const auto at = std::find(recipe_.inputs.begin(), recipe_.inputs.end(), value);
      node.a = static_cast<int>(at - recipe_.inputs.begin());
      if (at == recipe_.inputs.end()) recipe_.inputs.push_back(value);
    } else if (node.fn == Fn::kSegment || node.fn == Fn::kUniform || node.fn == Fn::kNormal) {
      recipe_.cost += kMaxCost + 1;  // tables and random numbers
    }
    if (arguments > 0) node.a = copy_node(body, inputs, node.a, copies);
    if (arguments > 1) node.b = copy_node(body, inputs, node.b, copies);
    if (arguments > 2) node.c = copy_node(body, inputs, node.c, copies);
    if (arguments > 0) recipe_.cost += info_of(node.fn).cost;
    recipe_.body.nodes.push_back(node);
    return known = static_cast<int>(recipe_.body.nodes.size()) - 1;
  }

  const Recipes& recomputed_;
  Recipe recipe_;
};

class Chooser {
 public:
  explicit Chooser(const Module& module)
      : graph_(*module.graph),
        lasting_(lasting_values(module)),
        readers_(readers_of(graph_)),
        recomputed_(graph_.ops.size()) {
    for (const Op& op : graph_.ops) loads_.push_back(loads_of(op.inputs));
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      const Op& op = graph_.ops[i];
      if (op.kind != OpKind::kMap || op.as<MapBody>().domain.count() < kSmall) continue;
      for (size_t result = 0; result < op.outputs.size(); ++result) {
        if (op.as<MapBody>().outputs[result].reduction == Reduction::kNone) choose(i, result);
      }
    }
  }

  // The values that an op recomputes instead of reading them.
  const Recipes& recomputed(size_t op) const { return recomputed_[op]; }

 private:
  std::set<int> loads_of(const std::vector<int>& inputs) const {
    std::set<int> loads;
    for (int input : inputs) {
      if (graph_.desc(input).shape.count() >= kSmall) loads.insert(input);
    }
    return loads;
  }

  // Chooses the readers that recompute a result of a map.
  void choose(size_t producer, size_t result) {
    const Op& op = graph_.ops[producer];
    const Recipe recipe = RecipeBuilder(recomputed_[producer]).build(op.as<MapBody>(), op.inputs, result);
    if (recipe.cost > kMaxCost) return;

    const int value = op.outputs[result];
    const std::set<int> operands = loads_of(recipe.inputs);
    // The readers that can recompute the value, and those of them that read its operands anyway.
    std::vector<size_t> able, prepared;
    size_t added_loads = 0;
    const auto& readers = readers_[static_cast<size_t>(value)];
    for (int reader : readers) {
      if (!can_fuse(recipe, graph_.ops[static_cast<size_t>(reader)])) continue;
      const std::set<int>& loads = loads_[static_cast<size_t>(reader)];
      const auto missing =
          std::count_if(operands.begin(), operands.end(), [&](int load) { return !loads.count(load); });
      if (missing == 0) prepared.push_back(static_cast<size_t>(reader));
      // Within a pass, operands are not kept much longer than the value would be.
      if (missing > 0 && graph_.ops[static_cast<size_t>(reader)].pass() != op.pass()) continue;
      able.push_back(static_cast<size_t>(reader));
      added_loads += static_cast<size_t>(missing);
    }
    // A value that is not stored saves a store, and a load by each reader.
    const bool drops =
        able.size() == readers.size() && !lasting_[static_cast<size_t>(value)] && added_loads <= readers.size();
    for (size_t reader : drops ? able : prepared) {
      loads_[reader].erase(value);
      loads_[reader].insert(operands.begin(), operands.end());
      recomputed_[reader].emplace(value, recipe);
    }
  }

  static bool can_fuse(const Recipe& recipe, const Op& reader) {
    return reader.kind == OpKind::kMap && reader.as<MapBody>().domain == recipe.body.domain &&
           recipe.body.nodes.size() + reader.as<MapBody>().nodes.size() <= kMaxMapNodes &&
           recipe.inputs.size() + reader.inputs.size() <= kMaxMapOperands;
  }

  const Graph& graph_;
  const std::vector<bool> lasting_;
  const std::vector<std::vector<int>> readers_;
  std::vector<std::set<int>> loads_;  // by op: the values that it reads and that are not small
  std::vector<Recipes> recomputed_;   // by op
};

}  // namespace

Module recompute_in_readers(const Module& module) {
  const Graph& graph = *module.graph;
  const Chooser chooser(module);
  Rewriter rewriter(graph);
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    Op moved = graph.ops[i];
    const Recipes& recomputed = chooser.recomputed(i);
    for (int& input : moved.inputs) {
      const auto found = recomputed.find(input);
      if (found == recomputed.end()) {
        input = rewriter.mapped(input);
        continue;
      }
      Op copy;
      copy.kind = OpKind::kMap;
      copy.attributes = found->second.body;
      for (int operand : found->second.inputs) copy.inputs.push_back(rewriter.mapped(operand));
      copy.shares = graph.producer(input).shares;
      for (LayerShare& share : copy.shares) share.pass = moved.pass();
      input = rewriter.append(std::move(copy), {graph.desc(input)}).front();
    }
    rewriter.append_for(graph.ops[i].outputs, std::move(moved));
  }
  return fuse_maps(rewriter.finish(module));
}

}  // namespace trainer
