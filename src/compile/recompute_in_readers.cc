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

// Copies the nodes of a result. If the map recomputes an operand itself, the copy does so too.
class RecipeBuilder {
 public:
  RecipeBuilder(const MapBody& body, const Recipes& recomputed) : recomputed_(recomputed) {
    recipe_.body.domain = body.domain;
    recipe_.body.keys = body.keys;
    recipe_.body.segments = body.segments;
  }

  Recipe build(const MapBody& body, const std::vector<int>& inputs, int node) {
    std::vector<int> copies(body.nodes.size(), -1);
    recipe_.body.outputs = {{copy(body, inputs, node, &copies), Reduction::kNone, {}}};
    return std::move(recipe_);
  }

 private:
  int copy(const MapBody& body, const std::vector<int>& inputs, int index, std::vector<int>* copies) {
    int& known = (*copies)[static_cast<size_t>(index)];
    if (known >= 0) return known;
    MapNode node = body.nodes[static_cast<size_t>(index)];
    const int arguments = arity_of(node.fn);
    if (node.fn == Fn::kInput) {
      const int value = inputs[static_cast<size_t>(node.a)];
      const auto inner = recomputed_.find(value);
      if (inner != recomputed_.end()) {
        const MapBody& of = inner->second.body;
        std::vector<int> inner_copies(of.nodes.size(), -1);
        return known = copy(of, inner->second.inputs, of.outputs[0].node, &inner_copies);
      }
      const auto at = std::find(recipe_.inputs.begin(), recipe_.inputs.end(), value);
      node.a = static_cast<int>(at - recipe_.inputs.begin());
      if (at == recipe_.inputs.end()) recipe_.inputs.push_back(value);
    } else if (node.fn == Fn::kUniform || node.fn == Fn::kNormal) {
      recipe_.cost += kMaxCost + 1;
    }
    if (arguments > 0) node.a = copy(body, inputs, node.a, copies);
    if (arguments > 1) node.b = copy(body, inputs, node.b, copies);
    if (arguments > 2) node.c = copy(body, inputs, node.c, copies);
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
        loads_(graph_.ops.size()),
        recomputed_(graph_.ops.size()) {
    for (size_t i = 0; i < graph_.ops.size(); ++i) loads_[i] = loads_of(graph_.ops[i].inputs);
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      if (graph_.ops[i].kind != OpKind::kMap) continue;
      for (size_t result = 0; result < graph_.ops[i].outputs.size(); ++result) choose(i, result);
    }
  }

  // The values that an op computes again instead of reading them.
  const Recipes& recomputed(size_t op) const { return recomputed_[op]; }

 private:
  std::set<int> loads_of(const std::vector<int>& inputs) const {
    std::set<int> loads;
    for (int input : inputs) {
      if (graph_.desc(input).shape.count() >= kSmall) loads.insert(input);
    }
    return loads;
  }

  void choose(size_t producer, size_t result) {
    const Op& op = graph_.ops[producer];
    const MapBody& body = op.as<MapBody>();
    const int value = op.outputs[result];
    if (body.outputs[result].reduction != Reduction::kNone || body.domain.count() < kSmall) return;
    const Recipe recipe = RecipeBuilder(body, recomputed_[producer]).build(body, op.inputs, body.outputs[result].node);
    if (recipe.cost > kMaxCost) return;

    const std::set<int> needed = loads_of(recipe.inputs);
    const auto& readers = readers_[static_cast<size_t>(value)];
    std::vector<size_t> able,
        without_loads;  // the readers that can compute the value, and those that read its operands
    size_t added = 0;
    for (int reader : readers) {
      const Op& by = graph_.ops[static_cast<size_t>(reader)];
      if (by.kind != OpKind::kMap || by.as<MapBody>().domain != body.domain || !can_fuse(recipe, by)) continue;
      const std::set<int>& has = loads_[static_cast<size_t>(reader)];
      const auto missing = std::count_if(needed.begin(), needed.end(), [&](int load) { return !has.count(load); });
      // The operands of a value of the same pass are not kept much longer than the value would be.
      if (missing == 0 || by.pass() == op.pass()) able.push_back(static_cast<size_t>(reader));
      if (missing == 0) without_loads.push_back(static_cast<size_t>(reader));
      added += static_cast<size_t>(missing);
    }
    const bool drops =
        able.size() == readers.size() && !lasting_[static_cast<size_t>(value)] && added <= readers.size();
    for (size_t reader : drops ? able : without_loads) {
      loads_[reader].erase(value);
      loads_[reader].insert(needed.begin(), needed.end());
      recomputed_[reader].emplace(value, recipe);
    }
  }

  bool can_fuse(const Recipe& recipe, const Op& reader) const {
    return recipe.body.nodes.size() + reader.as<MapBody>().nodes.size() <= kMaxMapNodes &&
           recipe.inputs.size() + reader.inputs.size() <= kMaxMapOperands;
  }

  const Graph& graph_;
  const std::vector<bool> lasting_;
  const std::vector<std::vector<int>> readers_;
  std::vector<std::set<int>> loads_;  // by op: the large values that it reads
  std::vector<Recipes> recomputed_;   // by op
};

}  // namespace

Module recompute_in_readers(const Module& module) {
  const Graph& graph = *module.graph;
  const Chooser chooser(module);
  Rewriter rewriter(graph);
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    Op moved = graph.ops[i];
    for (int& input : moved.inputs) {
      const auto recipe = chooser.recomputed(i).find(input);
      if (recipe == chooser.recomputed(i).end()) {
        input = rewriter.mapped(input);
        continue;
      }
      Op copy;
      copy.kind = OpKind::kMap;
      copy.attributes = recipe->second.body;
      for (int operand : recipe->second.inputs) copy.inputs.push_back(rewriter.mapped(operand));
      copy.shares = graph.producer(input).shares;
      for (LayerShare& share : copy.shares) share.pass = moved.pass();
      input = rewriter.append(std::move(copy), {graph.desc(input)}).front();
    }
    rewriter.append_for(graph.ops[i].outputs, std::move(moved));
  }
  return fuse_maps(rewriter.finish(module));
}

}  // namespace trainer
