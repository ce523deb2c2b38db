// Gives each reader its own copy of a cheap value.
//
// If a reduction separates two readers of x - mean, they cannot fuse into one pass: the first would store x - mean and
// the second load it. Both load x in any case, so each computes x - mean itself and it is never stored. Copies within
// one fused map become one node.
#include <algorithm>
#include <set>

#include "compile/passes.h"

namespace trainer {
namespace {

constexpr int64_t kSmall = 4096;  // elements below which the cost of a stored value is negligible
constexpr int kMaxCost = 8;       // additions and multiplications per element

int cost_of_node(const MapNode& node) {
  if (node.fn == Fn::kUniform || node.fn == Fn::kNormal) return kMaxCost + 1;
  return arity_of(node.fn) > 0 ? info_of(node.fn).cost : 0;
}

// The cost of recomputing a value.
struct Recipe {
  bool cheap = false;
  int cost = 0;
  std::set<int> loads;  // values that are not small and must be read
};

std::vector<Recipe> find_recipes(const Module& module) {
  const Graph& graph = *module.graph;
  const auto readers = readers_of(graph);
  std::vector<Recipe> recipes(graph.values.size());
  const std::vector<bool> lasting = lasting_values(module);
  for (const Op& op : graph.ops) {
    if (op.kind != OpKind::kMap || op.as<MapBody>().reduces()) continue;
    const size_t value = static_cast<size_t>(op.outputs.front());
    if (graph.values[value].desc.shape.count() < kSmall || lasting[value]) continue;
    Recipe recipe;
    for (const MapNode& node : op.as<MapBody>().nodes) recipe.cost += cost_of_node(node);
    for (int input : op.inputs) {
      if (graph.desc(input).shape.count() < kSmall) continue;
      const Recipe& below = recipes[static_cast<size_t>(input)];
      if (below.cheap) {
        recipe.cost += below.cost;
        recipe.loads.insert(below.loads.begin(), below.loads.end());
      } else {
        recipe.loads.insert(input);
      }
    }
    const bool only_maps = std::all_of(readers[value].begin(), readers[value].end(), [&](int reader) {
      return graph.ops[static_cast<size_t>(reader)].kind == OpKind::kMap;
    });
    recipe.cheap = only_maps && recipe.cost <= kMaxCost && recipe.loads.size() <= 1;
    recipes[value] = std::move(recipe);
  }
  return recipes;
}

int copy_for_reader(Rewriter* rewriter, const std::vector<Recipe>& recipes, int value, const Op& reader) {
  if (!recipes[static_cast<size_t>(value)].cheap) return rewriter->mapped(value);
  const Graph& graph = rewriter->from();
  Op op = graph.producer(value);
  for (int& input : op.inputs) input = copy_for_reader(rewriter, recipes, input, reader);
  for (LayerShare& share : op.shares) share.pass = reader.pass();
  return rewriter->append(std::move(op), {graph.desc(value)}).front();
}

}  // namespace

Module duplicate_cheap_maps(const Module& module) {
  const Graph& graph = *module.graph;
  const std::vector<Recipe> recipes = find_recipes(module);
  Rewriter rewriter(graph);
  for (const Op& op : graph.ops) {
    if (op.kind == OpKind::kMap && recipes[static_cast<size_t>(op.outputs.front())].cheap) continue;
    Op moved = op;
    for (int& input : moved.inputs) input = copy_for_reader(&rewriter, recipes, input, op);
    rewriter.append_for(op.outputs, std::move(moved));
  }
  return rewriter.finish(module);
}

}  // namespace trainer
