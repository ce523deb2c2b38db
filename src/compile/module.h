// What the passes of the compiler hand on: a graph and the values that its caller will read.
#pragma once

#include <memory>
#include <vector>

#include "ops/graph.h"

namespace trainer {

struct Module {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  std::vector<int> results;  // value ids, in the caller's order; -1 where there is none
  bool effects = true;       // false: only the results are wanted, no effects outside the graph
};

// Copies ops from one graph into another, old values standing for new ones. Every pass that changes ops is a
// walk over the old graph with one of these.
class Rewriter {
 public:
  explicit Rewriter(const Graph& from);

  const Graph& from() const { return from_; }
  Graph& to() { return *to_; }
  bool has(int old) const { return map_[static_cast<size_t>(old)] >= 0; }
  int mapped(int old) const;
  void set(int old, int replacement) { map_[static_cast<size_t>(old)] = replacement; }
  // Appends a copy of the op reading the mapped operands; maps its results.
  void copy(const Op& op);
  // Appends an op whose results stand for the old values `old`: described like them, or by `results`, and
  // named as they were. Its operands are values of the new graph.
  void append_for(const std::vector<int>& old, Op op, std::vector<TensorDesc> results = {});
  // Appends an op that is not in the old graph; returns its results.
  std::vector<int> append(Op op, const std::vector<TensorDesc>& results);

  // Ends the walk: copies the writes and results.
  Module finish(const Module& module);

 private:
  const Graph& from_;
  std::unique_ptr<Graph> to_;
  std::vector<int> map_;
};

// For each op: whether a result, a state write or an effect depends on it.
std::vector<bool> live_ops(const Module& module);
// For each value: whether it is wanted after the pass, as a result or in a state.
std::vector<bool> lasting_values(const Module& module);
bool has_backward(const Graph& graph);
// For each value: the ops that read it, in order.
std::vector<std::vector<int>> readers_of(const Graph& graph);
// The shares of `by`, which does the work of `absorbed` as well: next to nothing.
void add_absorbed_shares(const Op& absorbed, Op* by);

// Values in sets that grow together.
class DisjointSets {
 public:
  explicit DisjointSets(size_t values);
  // The value that stands for a set.
  int root(int value) const;
  void join(int a, int b) { parent_[static_cast<size_t>(root(b))] = root(a); }

 private:
  mutable std::vector<int> parent_;  // paths become shorter as they are walked
};

}  // namespace trainer
