// Stores activations and their gradients in a 16-bit type (bf16 or f16) if convolutions or large matrix products
// produce or read them.
//
// These products accumulate in f32. The arithmetic and reductions of maps, parameters, gradients of parameters,
// statistics and results are f32 too. Weights are rounded by reorders, or by kernels as they read them. Ops that only
// move, pool or normalize values do not change the type, so the values that they connect form components of one type.
// With f16, sums over pooling windows stay f32, because a sum may overflow although its mean does not. A value that
// only maps produce and read is narrow if one of these maps has a narrow operand or result of the same shape. Results
// of exponentials, logarithms and squares stay f32.
#include <algorithm>
#include <map>

#include "compile/passes.h"

namespace trainer {
namespace {

constexpr int64_t kSmall = 1 << 14;  // elements below which the cost of f32 is negligible
// A product with fewer rows reads its weights only a few times: rounding them costs more than it saves.
constexpr int64_t kMinProductRows = 32;

// The types that an op accepts for an operand or result.
enum class Role : uint8_t {
  kF32,     // f32; integer types stay as they are
  kNarrow,  // an operand must be narrow, a result may be
  kShared,  // any type, the same for all kShared operands and results of the op
  kAny,     // any type: the op converts as it reads or writes
};

bool is_weights(const Graph& graph, int value) {
  const Op& op = graph.producer(value);
  if (op.kind == OpKind::kStateRead) return true;
  const bool moves = op.kind == OpKind::kReshape || op.kind == OpKind::kPermute || op.kind == OpKind::kSlice;
  return moves && is_weights(graph, op.inputs[0]);
}

// Whether the operand that is multiplied by the weights has enough rows; for a product of two activations, whether
// depth and both extents of the result are large enough.
bool is_large_product(const Graph& graph, const Op& op) {
  const Shape& y = graph.desc(op.outputs[0]).shape;
  const Shape& a = graph.desc(op.inputs[0]).shape;
  const int rank = y.rank();
  const int64_t depth = a[a.rank() - (op.as<MatmulAttributes>().transpose_a ? 2 : 1)];
  const int64_t rows = is_weights(graph, op.inputs[1])   ? y[rank - 2]
                       : is_weights(graph, op.inputs[0]) ? y[rank - 1]
                                                         : std::min(depth, std::min(y[rank - 2], y[rank - 1]));
  return rows >= kMinProductRows;
}

// `packs`: weights are converted before the op.
Role role_of(const Graph& graph, const Op& op, bool input, size_t position, DType narrow, bool packs) {
  if (graph.desc(input ? op.inputs[position] : op.outputs[position]).dtype != DType::kF32) return Role::kF32;
  switch (op.kind) {
    case OpKind::kConvolution:
    case OpKind::kConvolutionInputGradient:
      return !input || position == 0 || (packs && position == 1) ? Role::kNarrow : Role::kF32;
    case OpKind::kConvolutionWeightGradient: return input ? Role::kNarrow : Role::kF32;
    case OpKind::kMatmul: {
      if (!is_large_product(graph, op) || position > 1) return Role::kF32;
      const bool with_weights = is_weights(graph, op.inputs[0]) || is_weights(graph, op.inputs[1]);
      // The result of a product of two activations is f32: it is a gradient of weights, or the input of a softmax.
      if (!input) return with_weights && graph.desc(op.outputs[0]).shape.count() >= kSmall ? Role::kNarrow : Role::kF32;
      return is_weights(graph, op.inputs[position]) && !packs ? Role::kF32 : Role::kNarrow;
    }
    case OpKind::kMap:
      return input || op.as<MapBody>().outputs[position].reduction == Reduction::kNone ? Role::kAny : Role::kF32;
    case OpKind::kSumPool: return !input && narrow == DType::kF16 ? Role::kF32 : Role::kShared;
    case OpKind::kMaxPool:
    case OpKind::kMaxPoolGradient:
    case OpKind::kSumPoolGradient:
    case OpKind::kLrn:
    case OpKind::kLrnGradient:
    case OpKind::kReshape:
    case OpKind::kPermute:
    case OpKind::kSlice:
    case OpKind::kPad:
    case OpKind::kConcat:
    case OpKind::kReorder: return Role::kShared;
    default: return Role::kF32;
  }
}

template <typename Visit>
void each_operand(const Op& op, const Visit& visit) {
  for (size_t i = 0; i < op.inputs.size(); ++i) visit(op.inputs[i], true, i);
  for (size_t i = 0; i < op.outputs.size(); ++i) visit(op.outputs[i], false, i);
}

bool has_wide_range(const MapBody& body) {
  return std::any_of(body.nodes.begin(), body.nodes.end(), [](const MapNode& node) {
    return info_of(node.fn).range == Range::kWide || (node.fn == Fn::kMultiply && node.a == node.b);
  });
}

// Finds the values that become narrow, component by component of values that share a type.
class NarrowValues {
 public:
  NarrowValues(const Module& module, DType type, bool packs)
      : graph_(*module.graph),
        type_(type),
        packs_(packs),
        readers_(readers_of(graph_)),
        sets_(graph_.values.size()),
        pinned_(graph_.values.size(), false),
        narrow_(graph_.values.size(), false) {
    for (const Op& op : graph_.ops) join(op);
    for (const Op& op : graph_.ops) {
      each_operand(op, [&](int value, bool input, size_t i) {
        // Only results pin the type: operands of another type are converted before the op.
        if (!input && role_of(graph_, op, false, i, type_, packs_) == Role::kF32) pin(value);
      });
    }
    const std::vector<bool> lasting = lasting_values(module);
    for (size_t value = 0; value < lasting.size(); ++value) {
      if (lasting[value]) pin(static_cast<int>(value));
    }
    for (const Op& op : graph_.ops) {
      each_operand(op, [&](int value, bool input, size_t i) {
        if (role_of(graph_, op, input, i, type_, packs_) == Role::kNarrow && (input || is_read_narrow(value)))
          mark(value);
      });
    }
    while (spread_through_maps()) {
    }
  }

  bool contains(int value) const { return narrow_[static_cast<size_t>(sets_.root(value))]; }

 private:
  void join(const Op& op) {
    int first = -1;
    each_operand(op, [&](int value, bool input, size_t i) {
      if (role_of(graph_, op, input, i, type_, packs_) != Role::kShared) return;
      if (first < 0) first = value;
      sets_.join(first, value);
    });
  }
  void pin(int value) { pinned_[static_cast<size_t>(sets_.root(value))] = true; }
  bool mark(int value) {
    const size_t component = static_cast<size_t>(sets_.root(value));
    if (pinned_[component] || narrow_[component]) return false;
    return narrow_[component] = true;
  }

  // Whether a reader accepts the value as narrow.
  bool is_read_narrow(int value) const {
    for (int reader : readers_[static_cast<size_t>(value)]) {
      const Op& op = graph_.ops[static_cast<size_t>(reader)];
      for (size_t i = 0; i < op.inputs.size(); ++i) {
        if (op.inputs[i] == value && role_of(graph_, op, true, i, type_, packs_) != Role::kF32) return true;
      }
    }
    return false;
  }

  // Marks large values of maps that have a narrow operand or result; returns whether it marked one.
  bool spread_through_maps() {
    bool marked = false;
    for (const Op& op : graph_.ops) {
      if (op.kind != OpKind::kMap) continue;
      const Shape& domain = op.as<MapBody>().domain;
      bool has_narrow = false;
      each_operand(op, [&](int value, bool, size_t) {
        has_narrow = has_narrow || (contains(value) && graph_.desc(value).shape == domain);
      });
      if (!has_narrow) continue;
      each_operand(op, [&](int value, bool, size_t) {
        const ValueInfo& info = graph_.values[static_cast<size_t>(value)];
        const Op& producer = graph_.ops[static_cast<size_t>(info.producer)];
        if (info.desc.shape != domain || domain.count() < kSmall) return;
        if (producer.kind != OpKind::kMap || has_wide_range(producer.as<MapBody>())) return;
        marked = mark(value) || marked;
      });
    }
    return marked;
  }

  const Graph& graph_;
  const DType type_;
  const bool packs_;
  const std::vector<std::vector<int>> readers_;
  DisjointSets sets_;
  std::vector<bool> pinned_, narrow_;  // by root
};

class PrecisionLowering {
 public:
  PrecisionLowering(const Module& module, DType type, bool packs)
      : module_(module),
        graph_(*module.graph),
        type_(type),
        packs_(packs),
        narrow_(module, type, packs),
        rewriter_(graph_) {}

  Module run() {
    for (const Op& op : graph_.ops) {
      Op moved = op;
      for (size_t i = 0; i < op.inputs.size(); ++i) {
        const int value = rewriter_.mapped(op.inputs[i]);
        switch (role_of(graph_, op, true, i, type_, packs_)) {
          case Role::kF32: moved.inputs[i] = converted(value, graph_.desc(op.inputs[i]).dtype); break;
          case Role::kNarrow: moved.inputs[i] = converted(value, type_); break;
          default: moved.inputs[i] = value;
        }
      }
      std::vector<TensorDesc> results;
      for (int output : op.outputs) {
        results.push_back(graph_.desc(output));
        if (narrow_.contains(output) || is_converted_after(op)) results.back().dtype = type_;
      }
      rewriter_.append_for(op.outputs, std::move(moved), std::move(results));
      if (is_converted_after(op) && !narrow_.contains(op.outputs[0]))
        rewriter_.set(op.outputs[0], converted(rewriter_.mapped(op.outputs[0]), DType::kF32));
    }
    return rewriter_.finish(module_);
  }

 private:
  // Whether kernels compute the result from narrow operands in the narrow type only.
  bool is_converted_after(const Op& op) const {
    return op.kind == OpKind::kConvolutionInputGradient || (packs_ && op.kind == OpKind::kConvolutionWeightGradient);
  }

  // `value` of the new graph in this type: itself, or the result of one conversion that all readers share. Weights and
  // their gradients are converted by reorders, which may also change the order.
  int converted(int value, DType dtype) {
    TensorDesc desc = rewriter_.to().desc(value);
    if (desc.dtype == dtype) return value;
    const auto known = converted_.find({value, dtype});
    if (known != converted_.end()) return known->second;
    const Op& producer = rewriter_.to().producer(value);
    Op op;
    op.inputs = {value};
    op.shares = producer.shares;
    if (packs_ && (producer.kind == OpKind::kConvolutionWeightGradient || is_weights(rewriter_.to(), value))) {
      op.kind = OpKind::kReorder;
    } else {
      op.kind = OpKind::kMap;
      op.attributes = MapBody::copy(desc.shape);
    }
    desc.dtype = dtype;
    return converted_[{value, dtype}] = rewriter_.append(std::move(op), {desc}).front();
  }

  const Module& module_;
  const Graph& graph_;
  const DType type_;
  const bool packs_;
  NarrowValues narrow_;
  Rewriter rewriter_;
  std::map<std::pair<int, DType>, int> converted_;
};

}  // namespace

Module lower_precision(const Module& module, DType narrow, bool packs) {
  return PrecisionLowering(module, narrow, packs).run();
}

}  // namespace trainer
