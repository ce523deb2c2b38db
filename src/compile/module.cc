// Rewriting and analysis of graphs.
#include "compile/module.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/opaque.h"

namespace trainer {

Rewriter::Rewriter(const Graph& from) : from_(from), to_(std::make_unique<Graph>()), map_(from.values.size(), -1) {
  to_->states = from.states;
  to_->sources = from.sources;
}

int Rewriter::mapped(int old) const {
  const int value = map_[static_cast<size_t>(old)];
  TRAINER_ASSERT(value >= 0);
  return value;
}

std::vector<int> Rewriter::append(Op op, const std::vector<TensorDesc>& results) {
  op.outputs.clear();
  for (const TensorDesc& desc : results) {
    ValueInfo info;
    info.desc = desc;
    info.producer = static_cast<int>(to_->ops.size());
    op.outputs.push_back(static_cast<int>(to_->values.size()));
    to_->values.push_back(std::move(info));
  }
  to_->ops.push_back(std::move(op));
  return to_->ops.back().outputs;
}

int Rewriter::append_binary(std::vector<LayerShare> shares, Fn fn, int a, int b, const Shape& domain) {
  Op op;
  op.kind = OpKind::kMap;
  op.shares = std::move(shares);
  op.inputs = {a, b};
  op.attributes = MapBody::binary(domain, fn);
  return append(std::move(op), {TensorDesc{domain}}).front();
}

void Rewriter::append_for(const std::vector<int>& old, Op op, std::vector<TensorDesc> results) {
  if (results.empty()) {
    for (int value : old) results.push_back(from_.desc(value));
  }
  const std::vector<int> added = append(std::move(op), results);
  for (size_t i = 0; i < old.size(); ++i) {
    set(old[i], added[i]);
    to_->values[static_cast<size_t>(added[i])].name = from_.values[static_cast<size_t>(old[i])].name;
  }
}

void Rewriter::copy(const Op& op) {
  Op moved = op;
  for (int& input : moved.inputs) input = mapped(input);
  append_for(op.outputs, std::move(moved));
}

Module Rewriter::finish(const Module& module) {
  for (const StateWrite& write : from_.writes) to_->writes.push_back({write.state, mapped(write.value)});
  // The old value may be mapped to a reorder; the source's value is the result of the source op.
  for (SourceInfo& source : to_->sources) source.value = -1;
  for (const Op& op : to_->ops) {
    if (op.kind == OpKind::kSource)
      to_->sources[static_cast<size_t>(op.as<IndexAttributes>().index)].value = op.outputs.front();
  }
  Module out;
  out.effects = module.effects;
  for (int result : module.results) out.results.push_back(result < 0 ? -1 : mapped(result));
  out.graph = std::move(to_);
  return out;
}

std::vector<bool> live_ops(const Module& module) {
  const Graph& graph = *module.graph;
  std::vector<bool> value_live(graph.values.size(), false), op_live(graph.ops.size(), false);
  for (int result : module.results) {
    if (result >= 0) value_live[static_cast<size_t>(result)] = true;
  }
  for (const StateWrite& write : graph.writes) value_live[static_cast<size_t>(write.value)] = true;
  for (size_t i = graph.ops.size(); i-- > 0;) {
    const Op& op = graph.ops[i];
    // Sources stay, read or not: the caller fills them with a batch.
    bool live = op.kind == OpKind::kSource ||
                (module.effects && op.kind == OpKind::kOpaque && op.as<OpaqueAttributes>().op->has_effect());
    for (int output : op.outputs) live = live || value_live[static_cast<size_t>(output)];
    op_live[i] = live;
    if (!live) continue;
    for (int input : op.inputs) value_live[static_cast<size_t>(input)] = true;
  }
  return op_live;
}

std::vector<bool> lasting_values(const Module& module) {
  std::vector<bool> lasting(module.graph->values.size(), false);
  for (int result : module.results) {
    if (result >= 0) lasting[static_cast<size_t>(result)] = true;
  }
  for (const StateWrite& write : module.graph->writes) lasting[static_cast<size_t>(write.value)] = true;
  return lasting;
}

bool has_backward(const Graph& graph) {
  return std::any_of(graph.ops.begin(), graph.ops.end(), [](const Op& op) { return op.pass() == Pass::kBackward; });
}

void add_absorbed_shares(const Op& absorbed, Op* by) {
  constexpr double kPart = 0.02;
  const double weight = kPart * by->shares.front().weight;
  for (const LayerShare& share : absorbed.shares) by->shares.push_back({share.layer, share.pass, weight});
}

DisjointSets::DisjointSets(size_t values) : parent_(values) { std::iota(parent_.begin(), parent_.end(), 0); }

int DisjointSets::root(int value) const {
  while (parent_[static_cast<size_t>(value)] != value) {
    int& parent = parent_[static_cast<size_t>(value)];
    parent = parent_[static_cast<size_t>(parent)];
    value = parent;
  }
  return value;
}

std::vector<std::vector<int>> readers_of(const Graph& graph) {
  std::vector<std::vector<int>> readers(graph.values.size());
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    for (int input : graph.ops[i].inputs) {
      auto& list = readers[static_cast<size_t>(input)];
      if (list.empty() || list.back() != static_cast<int>(i)) list.push_back(static_cast<int>(i));
    }
  }
  return readers;
}

}  // namespace trainer
