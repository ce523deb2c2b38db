// Dead-op elimination, common subexpression elimination, and constant folding.
#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "compile/passes.h"

namespace trainer {
namespace {

// The constant that `value` holds in all its elements, if it is the only result of a constant map.
std::optional<float> constant_of(const Graph& graph, int value) {
  const Op& op = graph.producer(value);
  if (op.kind != OpKind::kMap) return std::nullopt;
  const MapBody& body = op.as<MapBody>();
  if (body.outputs.size() != 1 || body.outputs[0].reduction != Reduction::kNone) return std::nullopt;
  const MapNode& node = body.nodes[static_cast<size_t>(body.outputs[0].node)];
  return node.fn == Fn::kConstant ? std::optional<float>(node.k) : std::nullopt;
}

// Replaces constant operands by kConstant nodes, and evaluates nodes whose arguments are all constant.
void fold_constants(const Graph& graph, Op* op) {
  MapBody& body = op->as<MapBody>();
  std::vector<int> operands, position(op->inputs.size(), -1);
  for (MapNode& node : body.nodes) {
    if (node.fn != Fn::kInput) continue;
    const size_t operand = static_cast<size_t>(node.a);
    if (const auto k = constant_of(graph, op->inputs[operand])) {
      node = {Fn::kConstant, -1, -1, -1, *k};
      continue;
    }
    if (position[operand] < 0) {
      position[operand] = static_cast<int>(operands.size());
      operands.push_back(op->inputs[operand]);
    }
    node.a = position[operand];
  }
  op->inputs = operands;
  for (MapNode& node : body.nodes) {
    const int indices[] = {node.a, node.b, node.c};
    float k[3] = {};
    bool constant = arity_of(node.fn) > 0;
    for (int i = 0; i < arity_of(node.fn); ++i) {
      const MapNode& argument = body.nodes[static_cast<size_t>(indices[i])];
      constant = constant && argument.fn == Fn::kConstant;
      k[i] = argument.k;
    }
    if (constant) node = {Fn::kConstant, -1, -1, -1, node.apply(k[0], k[1], k[2])};
  }
}

// The operand that a map of one function returns unchanged (x * 1, x + 0, x - 0, x / 1), or -1.
int identity_operand(const Graph& graph, const Op& op) {
  const MapBody& body = op.as<MapBody>();
  if (op.inputs.size() != 1 || body.outputs.size() != 1 || body.outputs[0].reduction != Reduction::kNone) return -1;
  if (graph.desc(op.inputs[0]).shape != body.domain || graph.desc(op.inputs[0]).dtype != DType::kF32) return -1;
  const MapNode& node = body.nodes[static_cast<size_t>(body.outputs[0].node)];
  if (node.fn == Fn::kInput) return op.inputs[0];
  if (arity_of(node.fn) != 2) return -1;
  const MapNode& a = body.nodes[static_cast<size_t>(node.a)];
  const MapNode& b = body.nodes[static_cast<size_t>(node.b)];
  const auto is = [](const MapNode& n, float k) { return n.fn == Fn::kConstant && n.k == k; };
  const bool right = ((node.fn == Fn::kMultiply || node.fn == Fn::kDivide) && is(b, 1)) ||
                     ((node.fn == Fn::kAdd || node.fn == Fn::kSubtract) && is(b, 0));
  const bool left = (node.fn == Fn::kMultiply && is(a, 1)) || (node.fn == Fn::kAdd && is(a, 0));
  return (right && a.fn == Fn::kInput) || (left && b.fn == Fn::kInput) ? op.inputs[0] : -1;
}

bool is_pure(OpKind kind) {
  return kind == OpKind::kMap || kind == OpKind::kReshape || kind == OpKind::kSlice || kind == OpKind::kPermute;
}

bool same_shapes(const Graph& graph_of_a, const Op& a, const Graph& graph_of_b, const Op& b) {
  return std::equal(a.outputs.begin(), a.outputs.end(), b.outputs.begin(), b.outputs.end(),
                    [&](int x, int y) { return graph_of_a.desc(x).shape == graph_of_b.desc(y).shape; });
}

bool same_attributes(const Op& a, const Op& b) {
  switch (a.kind) {
    case OpKind::kMap: return a.as<MapBody>() == b.as<MapBody>();
    case OpKind::kSlice:
      return a.as<SliceAttributes>().axis == b.as<SliceAttributes>().axis &&
             a.as<SliceAttributes>().begin == b.as<SliceAttributes>().begin &&
             a.as<SliceAttributes>().end == b.as<SliceAttributes>().end;
    case OpKind::kPermute: return a.as<PermuteAttributes>().axes == b.as<PermuteAttributes>().axes;
    default: return true;
  }
}

Module without_dead_ops(const Module& module) {
  const std::vector<bool> live = live_ops(module);
  Rewriter rewriter(*module.graph);
  for (size_t i = 0; i < live.size(); ++i) {
    if (live[i]) rewriter.copy(module.graph->ops[i]);
  }
  return rewriter.finish(module);
}

}  // namespace

Module simplify(const Module& module) {
  const Graph& graph = *module.graph;
  const std::vector<bool> live = live_ops(module);
  Rewriter rewriter(graph);
  std::map<std::pair<OpKind, std::vector<int>>, std::vector<int>> known;  // -> ops of the new graph
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (!live[i]) continue;
    Op op = graph.ops[i];
    for (int& input : op.inputs) input = rewriter.mapped(input);
    if (op.kind == OpKind::kReshape) {
      const Op& before = rewriter.to().producer(op.inputs[0]);
      if (before.kind == OpKind::kReshape) op.inputs[0] = before.inputs[0];
      if (rewriter.to().desc(op.inputs[0]).shape == graph.desc(op.outputs[0]).shape) {
        rewriter.set(op.outputs[0], op.inputs[0]);
        continue;
      }
    }
    if (op.kind == OpKind::kMap) {
      fold_constants(rewriter.to(), &op);
      const int same = identity_operand(rewriter.to(), op);
      if (same >= 0) {
        rewriter.set(op.outputs[0], same);
        continue;
      }
    }
    if (is_pure(op.kind)) {
      bool found = false;
      auto& candidates = known[{op.kind, op.inputs}];
      for (int candidate : candidates) {
        const Op& other = rewriter.to().ops[static_cast<size_t>(candidate)];
        if (!same_attributes(op, other) || !same_shapes(graph, op, rewriter.to(), other)) continue;
        for (size_t k = 0; k < op.outputs.size(); ++k) rewriter.set(op.outputs[k], other.outputs[k]);
        found = true;
        break;
      }
      if (found) continue;
      candidates.push_back(static_cast<int>(rewriter.to().ops.size()));
    }
    rewriter.append_for(graph.ops[i].outputs, std::move(op));
  }
  // A merged pair of reshapes may leave the first one dead.
  return without_dead_ops(rewriter.finish(module));
}

}  // namespace trainer
