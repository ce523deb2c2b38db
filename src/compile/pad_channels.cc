// Pads convolutions on fewer channels than `multiple` with zeros: the channels of images and filters.
//
// A convolution and its weight gradient share the padded image. The gradient of the zeros of the filters is dropped.
// The pads and slices also convert between float types. The gradient of the image, if it is wanted, is computed without
// padding.
#include <algorithm>
#include <map>

#include "compile/passes.h"
#include "ops/cost.h"

namespace trainer {
namespace {

// A smaller convolution takes less time than the launches that pad it.
constexpr double kMinMultiplyAdds = 1 << 26;
constexpr int kChannels = 1;  // the axis, of images and filters

class ChannelPadding {
 public:
  ChannelPadding(const Module& module, int64_t multiple)
      : module_(module),
        graph_(*module.graph),
        multiple_(multiple),
        readers_(readers_of(graph_)),
        lasting_(lasting_values(module)),
        rewriter_(graph_) {}

  Module run() {
    for (const Op& op : graph_.ops) {
      if (pads(op)) {
        op.kind == OpKind::kConvolution ? place_convolution(op) : place_gradient(op);
      } else if (!is_absorbed(op)) {
        rewriter_.copy(op);
      }
    }
    return rewriter_.finish(module_);
  }

 private:
  bool pads(const Op& op) const {
    if (op.kind != OpKind::kConvolution && op.kind != OpKind::kConvolutionWeightGradient) return false;
    return op.as<ConvolutionAttributes>().group == 1 && graph_.desc(op.inputs[0]).shape[kChannels] < multiple_ &&
           cost_of(graph_, op).multiply_adds >= kMinMultiplyAdds;
  }

  bool converts_padded_gradient(const Op& op) const {
    if (op.kind != OpKind::kReorder) return false;
    const Op& producer = graph_.producer(op.inputs[0]);
    return producer.kind == OpKind::kConvolutionWeightGradient && pads(producer);
  }
  // Whether an op only converts floats to the type that padded convolutions read, or the gradient that one computes:
  // the op that pads or slices does it.
  bool is_absorbed(const Op& op) const {
    if (converts_padded_gradient(op)) return true;
    if ((op.kind != OpKind::kMap && op.kind != OpKind::kReorder) || op.inputs.size() != 1) return false;
    const int value = op.outputs[0];
    const TensorDesc &from = graph_.desc(op.inputs[0]), &to = graph_.desc(value);
    if (from.dtype != DType::kF32 || from.shape != to.shape) return false;
    if (op.kind == OpKind::kMap && !(op.as<MapBody>() == MapBody::copy(to.shape))) return false;
    const auto& readers = readers_[static_cast<size_t>(value)];
    if (readers.empty() || lasting_[static_cast<size_t>(value)]) return false;
    return std::all_of(readers.begin(), readers.end(), [&](int reader) {
      const Op& by = graph_.ops[static_cast<size_t>(reader)];
      return pads(by) && (by.kind == OpKind::kConvolution || by.inputs[1] != value);
    });
  }

  void place_convolution(const Op& op) {
    Op moved = op;
    for (size_t i = 0; i < op.inputs.size(); ++i)
      moved.inputs[i] = i < 2 ? padded(op.inputs[i]) : rewriter_.mapped(op.inputs[i]);
    rewriter_.append_for(op.outputs, std::move(moved));
  }

  void place_gradient(const Op& op) {
    const int value = op.outputs[0];
    TensorDesc desc = graph_.desc(value);
    Op moved = op, slice;
    moved.inputs = {padded(op.inputs[0]), rewriter_.mapped(op.inputs[1])};
    slice.kind = OpKind::kSlice;
    slice.attributes = range_of(desc);
    slice.shares = op.shares;
    desc.shape[kChannels] = multiple_;
    slice.inputs = rewriter_.append(std::move(moved), {desc});
    bool is_read = lasting_[static_cast<size_t>(value)];
    for (int reader : readers_[static_cast<size_t>(value)]) {
      const Op& by = graph_.ops[static_cast<size_t>(reader)];
      if (converts_padded_gradient(by)) {
        rewriter_.append_for(by.outputs, slice);
      } else {
        is_read = true;
      }
    }
    if (is_read) rewriter_.append_for({value}, std::move(slice));
  }

  // The image of an old value in the new graph with more channels, which are zero.
  int padded(int value) {
    const auto known = padded_.find(value);
    if (known != padded_.end()) return known->second;
    const Op& producer = graph_.producer(value);
    TensorDesc desc = graph_.desc(value);
    Op op;
    op.kind = OpKind::kPad;
    op.inputs = {rewriter_.mapped(is_absorbed(producer) ? producer.inputs[0] : value)};
    op.attributes = range_of(desc);
    op.shares = producer.shares;
    desc.shape[kChannels] = multiple_;
    return padded_[value] = rewriter_.append(std::move(op), {desc}).front();
  }

  SliceAttributes range_of(const TensorDesc& desc) const { return {kChannels, 0, desc.shape[kChannels], multiple_}; }

  const Module& module_;
  const Graph& graph_;
  const int64_t multiple_;
  const std::vector<std::vector<int>> readers_;
  const std::vector<bool> lasting_;
  Rewriter rewriter_;
  std::map<int, int> padded_;  // by old value
};

}  // namespace

Module pad_channels(const Module& module, int64_t multiple) { return ChannelPadding(module, multiple).run(); }

}  // namespace trainer
