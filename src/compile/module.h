// The input and output of each compiler pass: a graph and the values that its caller reads.
#pragma once

#include <memory>
#include <vector>

#include "ops/graph.h"

namespace trainer {

struct Module {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  std::vector<int> results;  // value ids, in the caller's order; -1: none
  bool effects = true;       // false: only the results are wanted; ops with effects outside the graph are dead
};

// Copies ops from one graph into another and maps old values to new ones. Every pass that changes ops walks over the
// old graph with a Rewriter.
class Rewriter {
 public:
  explicit Rewriter(const Graph& from);

  const Graph& from() const { return from_; }
  Graph& to() { return *to_; }
  int mapped(int old) const;
  void set(int old, int replacement) { map_[static_cast<size_t>(old)] = replacement; }
  // Appends a copy of the op that reads the mapped operands; maps its results.
  void copy(const Op& op);
  // Appends an op whose results replace the old values `old`. The results take the descriptors `results`, or by default
  // those of the old values, and the names of the old values. The operands are values of the new graph.
  void append_for(const std::vector<int>& old, Op op, std::vector<TensorDesc> results = {});
  // Appends an op that is not in the old graph; returns its results.
  std::vector<int> append(Op op, const std::vector<TensorDesc>& results);
  // Appends fn(a, b) of two values of the new graph over a domain; returns its result.
  int append_binary(std::vector<LayerShare> shares, Fn fn, int a, int b, const Shape& domain);

  // Ends the walk: maps the writes and results, and returns the new module.
  Module finish(const Module& module);

 private:
  const Graph& from_;
  std::unique_ptr<Graph> to_;
  std::vector<int> map_;
};

// For each op: whether it is a source, or a result, a state write or an effect depends on it.
std::vector<bool> live_ops(const Module& module);
// For each value: whether it is needed after the last op, as a result or as the value of a state.
std::vector<bool> lasting_values(const Module& module);
bool has_backward(const Graph& graph);
// For each value: the ops that read it, in order.
std::vector<std::vector<int>> readers_of(const Graph& graph);
// Adds to `by`, which has absorbed the work of `absorbed`, the shares of the latter, with a small weight.
void add_absorbed_shares(const Op& absorbed, Op* by);

// Union-find over values.
class DisjointSets {
 public:
  explicit DisjointSets(size_t values);
  // The representative of the set that holds `value`.
  int root(int value) const;
  void join(int a, int b) { parent_[static_cast<size_t>(root(b))] = root(a); }

 private:
  mutable std::vector<int> parent_;  // root() shortens paths
};

}  // namespace trainer
