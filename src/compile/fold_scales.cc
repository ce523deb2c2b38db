// Folds per-channel factors and shifts of a convolution's result into its weights and bias.
//
// Without a backward pass, a batch norm and the scale after it are a factor and a shift per channel:
// (conv(x, w) + b) * s + t = conv(x, w * s) + (b * s + t). Each pass multiplies the weights, which costs less than
// another pass over the activations.
#include <algorithm>
#include <map>
#include <optional>

#include "compile/passes.h"

namespace trainer {
namespace {

// One op of a chain after a convolution: combines the value so far with one factor or shift per channel.
struct Link {
  int op;
  Fn fn;
  int operand = -1;  // value; -1: the constant
  float constant = 0;
};

class ScaleFolding {
 public:
  explicit ScaleFolding(const Module& module)
      : module_(module),
        graph_(*module.graph),
        readers_(readers_of(graph_)),
        lasting_(lasting_values(module)),
        rewriter_(graph_) {}

  Module run() {
    struct Chain {
      int convolution;
      std::vector<Link> links;
    };
    std::map<int, Chain> chains;  // by their last op
    std::vector<bool> skipped(graph_.ops.size(), false);
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      if (graph_.ops[i].kind != OpKind::kConvolution) continue;
      std::vector<Link> chain = chain_after(static_cast<int>(i));
      if (chain.empty()) continue;
      skipped[i] = true;
      for (const Link& link : chain) skipped[static_cast<size_t>(link.op)] = true;
      const int last = chain.back().op;
      chains[last] = {static_cast<int>(i), std::move(chain)};
    }
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      const auto chain = chains.find(static_cast<int>(i));
      if (chain != chains.end()) {
        place(graph_.ops[static_cast<size_t>(chain->second.convolution)], chain->second.links);
      } else if (!skipped[i]) {
        rewriter_.copy(graph_.ops[i]);
      }
    }
    return rewriter_.finish(module_);
  }

 private:
  std::vector<Link> chain_after(int convolution) const {
    std::vector<Link> chain;
    int value = graph_.ops[static_cast<size_t>(convolution)].outputs[0];
    while (!lasting_[static_cast<size_t>(value)] && readers_[static_cast<size_t>(value)].size() == 1) {
      const int reader = readers_[static_cast<size_t>(value)].front();
      const std::optional<Link> link = link_of(reader, value);
      if (!link) break;
      chain.push_back(*link);
      value = graph_.ops[static_cast<size_t>(reader)].outputs[0];
    }
    return chain;
  }

  // The op with this index as a factor or shift of each channel of `value`, if it is one.
  std::optional<Link> link_of(int index, int value) const {
    const Op& op = graph_.ops[static_cast<size_t>(index)];
    const Shape& shape = graph_.desc(value).shape;
    if (op.kind != OpKind::kMap || op.outputs.size() != 1) return std::nullopt;
    const MapBody& body = op.as<MapBody>();
    const MapNode& node = body.nodes[static_cast<size_t>(body.outputs[0].node)];
    if (body.domain != shape || body.outputs[0].reduction != Reduction::kNone || arity_of(node.fn) != 2)
      return std::nullopt;
    const MapNode& a = body.nodes[static_cast<size_t>(node.a)];
    const MapNode& b = body.nodes[static_cast<size_t>(node.b)];
    const auto reads = [&](const MapNode& n) { return n.fn == Fn::kInput ? op.inputs[static_cast<size_t>(n.a)] : -1; };
    const bool commutes = node.fn == Fn::kAdd || node.fn == Fn::kMultiply;
    if (!commutes && node.fn != Fn::kSubtract && node.fn != Fn::kDivide) return std::nullopt;
    const bool swapped = commutes && reads(b) == value && reads(a) != value;
    if (!swapped && reads(a) != value) return std::nullopt;
    const MapNode& other = swapped ? a : b;
    if (other.fn == Fn::kConstant) return Link{index, node.fn, -1, other.k};
    const int operand = reads(other);
    if (operand < 0 || operand == value || !is_per_channel(graph_.desc(operand).shape, shape)) return std::nullopt;
    return Link{index, node.fn, operand};
  }

  // If batch and image have one element, an operand of the shape of the value may be another activation: not folded.
  static bool is_per_channel(const Shape& shape, const Shape& domain) {
    if (shape == domain) return false;
    if (shape.rank() == 0) return true;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (axis != 1 && shape[axis] != 1) return false;
    }
    return shape[1] == 1 || shape[1] == domain[1];
  }

  void place(const Op& convolution, const std::vector<Link>& chain) {
    shares_ = convolution.shares;
    Op folded = convolution;
    const Shape channels{graph_.desc(convolution.outputs[0]).shape[1]};
    int scale = -1, shift = convolution.inputs.size() > 2 ? rewriter_.mapped(convolution.inputs[2]) : -1;
    for (const Link& link : chain) {
      const int operand = link.operand < 0 ? constant(link.constant) : flat(rewriter_.mapped(link.operand), channels);
      if (link.fn == Fn::kMultiply || link.fn == Fn::kDivide) {
        scale = rewriter_.append_binary(shares_, link.fn, scale < 0 ? constant(1) : scale, operand, channels);
        if (shift >= 0) shift = rewriter_.append_binary(shares_, link.fn, shift, operand, channels);
      } else {
        shift = rewriter_.append_binary(shares_, link.fn, shift < 0 ? constant(0) : shift, operand, channels);
      }
      add_absorbed_shares(graph_.ops[static_cast<size_t>(link.op)], &folded);
    }
    folded.inputs = {rewriter_.mapped(convolution.inputs[0]), rewriter_.mapped(convolution.inputs[1])};
    if (scale >= 0) {
      const Shape& weights = graph_.desc(convolution.inputs[1]).shape;
      std::vector<int64_t> dims(static_cast<size_t>(weights.rank()), 1);
      dims[0] = channels[0];
      folded.inputs[1] =
          rewriter_.append_binary(shares_, Fn::kMultiply, folded.inputs[1], reshaped(scale, Shape(dims)), weights);
    }
    if (shift >= 0) folded.inputs.push_back(shift);
    rewriter_.append_for(graph_.ops[static_cast<size_t>(chain.back().op)].outputs, std::move(folded));
  }

  // [1,C,1...] as [C]; one element for all channels as a scalar.
  int flat(int value, const Shape& channels) {
    const Shape& shape = rewriter_.to().desc(value).shape;
    return reshaped(value, shape.count() == channels[0] ? channels : Shape{});
  }
  int reshaped(int value, const Shape& shape) {
    if (rewriter_.to().desc(value).shape == shape) return value;
    Op op;
    op.kind = OpKind::kReshape;
    op.shares = shares_;
    op.inputs = {value};
    return rewriter_.append(std::move(op), {TensorDesc{shape}}).front();
  }
  int constant(float k) {
    Op op;
    op.kind = OpKind::kMap;
    op.shares = shares_;
    op.attributes = MapBody{Shape{}, {{Fn::kConstant, -1, -1, -1, k}}, {{0, Reduction::kNone, {}}}, {}, {}};
    return rewriter_.append(std::move(op), {TensorDesc{Shape{}}}).front();
  }

  const Module& module_;
  const Graph& graph_;
  const std::vector<std::vector<int>> readers_;
  const std::vector<bool> lasting_;
  Rewriter rewriter_;
  std::vector<LayerShare> shares_;
};

}  // namespace

Module fold_scales(const Module& module) { return ScaleFolding(module).run(); }

}  // namespace trainer
