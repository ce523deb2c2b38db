// Assigns physical orders: channels-last for values that convolution, pooling and LRN produce or read, row-major for
// the rest.
//
// Maps, concats and slices accept any order that all their operands share, so values that they connect form a component
// with one order. A component is channels-last if an op that prefers this order reads or produces one of its values.
// Ops that need or produce another order (states, weights, reshapes, opaque ops, results) get a reorder at that edge.
// A reorder that lower_precision inserted, for weights and their gradients, is moved to that edge, so that one reorder
// changes type and order.
#include <map>
#include <tuple>

#include "base/error.h"
#include "compile/passes.h"

namespace trainer {
namespace {

bool has_order(const Graph& graph, int value) { return !orders_coincide(graph.desc(value).shape); }

// Whether an operand or result of a kChannelsLast op is an activation; the others are weights.
bool is_activation(const Op& op, bool input, size_t position) {
  switch (op.kind) {
    case OpKind::kConvolution:
    case OpKind::kConvolutionInputGradient: return !input || position == 0;
    case OpKind::kConvolutionWeightGradient: return input;
    default: return true;
  }
}

// Whether a map draws random numbers and reads no operand that has an order: it is fastest in logical sequence, in
// which one Philox counter yields four draws.
bool draws_only(const Graph& graph, const Op& op) {
  if (op.kind != OpKind::kMap) return false;
  for (int input : op.inputs) {
    if (has_order(graph, input)) return false;
  }
  for (const MapNode& node : op.as<MapBody>().nodes) {
    if (node.fn == Fn::kUniform || node.fn == Fn::kNormal) return true;
  }
  return false;
}

bool reads_any_order(const Op& op) {
  return op.kind == OpKind::kPad || (op.kind == OpKind::kSlice && op.outputs.size() == 1);
}

class Components {
 public:
  Components(const Graph& graph, bool packs) : sets_(graph.values.size()), last_(graph.values.size(), false) {
    for (const Op& op : graph.ops) {
      const OrderRule rule = order_rule(op);
      if (rule == OrderRule::kUniform && !draws_only(graph, op)) join_all(graph, op);
      if (rule != OrderRule::kChannelsLast) continue;
      for (size_t i = 0; i < op.inputs.size(); ++i) {
        const bool padded = packs && graph.producer(op.inputs[i]).kind == OpKind::kPad;
        if (is_activation(op, true, i) || padded) touched_.push_back(op.inputs[i]);
      }
      for (size_t i = 0; i < op.outputs.size(); ++i) {
        if (is_activation(op, false, i)) touched_.push_back(op.outputs[i]);
      }
    }
    for (int value : touched_) last_[static_cast<size_t>(sets_.root(value))] = true;
  }

  MemoryFormat order_of(const Graph& graph, int value) {
    return has_order(graph, value) && last_[static_cast<size_t>(sets_.root(value))] ? MemoryFormat::kChannelsLast
                                                                                    : MemoryFormat::kRowMajor;
  }

 private:
  void join_all(const Graph& graph, const Op& op) {
    int first = -1;
    for (const std::vector<int>* list : {&op.inputs, &op.outputs}) {
      for (int value : *list) {
        const Op& producer = graph.producer(value);
        if (!has_order(graph, value) || producer.kind == OpKind::kStateRead) continue;
        if (first < 0) first = value;
        sets_.join(first, value);
      }
    }
  }

  DisjointSets sets_;
  std::vector<bool> last_;
  std::vector<int> touched_;
};

class OrderAssignment {
 public:
  OrderAssignment(const Module& module, bool packs)
      : module_(module), graph_(*module.graph), packs_(packs), components_(graph_, packs), rewriter_(graph_) {}

  Module run() {
    for (const Op& op : graph_.ops) {
      if (op.kind == OpKind::kReorder) {
        // Its readers append it.
        rewriter_.set(op.outputs[0], rewriter_.mapped(op.inputs[0]));
      } else {
        place(op);
      }
    }
    for (const StateWrite& write : graph_.writes)
      rewriter_.set(write.value, in_order(write.value, MemoryFormat::kRowMajor));
    for (int result : module_.results) {
      if (result >= 0) rewriter_.set(result, in_order(result, MemoryFormat::kRowMajor));
    }
    return rewriter_.finish(module_);
  }

 private:
  MemoryFormat wanted(const Op& op, bool input, size_t position) {
    const int value = input ? op.inputs[position] : op.outputs[position];
    if (!has_order(graph_, value)) return MemoryFormat::kRowMajor;
    switch (order_rule(op)) {
      case OrderRule::kChannelsLast:
        return packs_ || is_activation(op, input, position) ? MemoryFormat::kChannelsLast : MemoryFormat::kRowMajor;
      case OrderRule::kUniform:
        return input && reads_any_order(op) ? rewriter_.to().desc(rewriter_.mapped(value)).order : uniform_order(op);
      case OrderRule::kRowMajor: break;
    }
    if (op.kind == OpKind::kSource) {
      const SourceInfo& source = graph_.sources[static_cast<size_t>(op.as<IndexAttributes>().index)];
      if (source.order) return *source.order;
    }
    if (op.kind == OpKind::kSource || op.kind == OpKind::kReshape) {
      // The data room builds a batch in its final order; a reshape that copies can read and write any order.
      return input ? rewriter_.to().desc(rewriter_.mapped(value)).order : components_.order_of(graph_, value);
    }
    return MemoryFormat::kRowMajor;
  }

  MemoryFormat uniform_order(const Op& op) {
    if (draws_only(graph_, op)) return MemoryFormat::kRowMajor;
    for (const std::vector<int>* list : {&op.outputs, &op.inputs}) {
      for (int value : *list) {
        const Op& producer = graph_.producer(value);
        if (has_order(graph_, value) && producer.kind != OpKind::kStateRead) return components_.order_of(graph_, value);
      }
    }
    return MemoryFormat::kRowMajor;
  }

  void place(const Op& op) {
    Op moved = op;
    for (size_t i = 0; i < op.inputs.size(); ++i) moved.inputs[i] = in_order(op.inputs[i], wanted(op, true, i));
    std::vector<TensorDesc> descs;
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      descs.push_back(graph_.desc(op.outputs[i]));
      descs.back().order = wanted(op, false, i);
    }
    rewriter_.append_for(op.outputs, std::move(moved), std::move(descs));
  }

  // An old value in this order, in the new graph: its image, or the result of one reorder that all readers share.
  int in_order(int old, MemoryFormat order) {
    const int value = rewriter_.mapped(old);
    TensorDesc desc = rewriter_.to().desc(value);
    const DType dtype = graph_.desc(old).dtype;
    if (orders_coincide(desc.shape)) order = desc.order;
    if (desc.order == order && desc.dtype == dtype) return value;
    const auto known = reordered_.find({value, order, dtype});
    if (known != reordered_.end()) return known->second;
    Op op;
    op.kind = OpKind::kReorder;
    op.inputs = {value};
    const Op& producer = rewriter_.to().producer(value);
    op.shares = producer.shares;
    desc.order = order;
    desc.dtype = dtype;
    const int result = rewriter_.append(std::move(op), {desc}).front();
    reordered_[{value, order, dtype}] = result;
    return result;
  }

  const Module& module_;
  const Graph& graph_;
  const bool packs_;
  Components components_;
  Rewriter rewriter_;
  std::map<std::tuple<int, MemoryFormat, DType>, int> reordered_;
};

}  // namespace

Module assign_orders(const Module& module, bool packs) { return OrderAssignment(module, packs).run(); }

}  // namespace trainer
