// Convolution and its gradients by oneDNN over channels-last tensors.
//
// Weights are row-major [O, C/group, K...]. oneDNN chooses its own layout: weights are reordered into the workspace
// before the primitive runs, and a weight gradient is reordered from the workspace afterwards.
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/epilogue.h"
#include "device/cpu/onednn/engine.h"
#include "device/cpu/onednn/onednn.h"
#include "runtime/windows.h"

namespace trainer::cpu {
namespace {

using dnnl::memory;
using Dims = memory::dims;
using Tag = memory::format_tag;
using Type = memory::data_type;

constexpr int64_t kMaxTaps = 1 << 20;

Type type_of(const TensorDesc& desc) { return desc.dtype == DType::kBF16 ? Type::bf16 : Type::f32; }

// The descriptors of an op for oneDNN: one to three spatial axes, dilation counted from 0. Stored weights are f32.
// `any_weights` has the type of the computation, `any_gradient` that of the weight gradient.
struct Description {
  memory::desc x, weights, any_weights, any_gradient, bias, y;
  Dims stride, dilation, pad_begin, pad_end;
};

Description describe(const OpInstance& instance) {
  const ConvolutionGeometry g = convolution_geometry(instance);
  const ConvolutionOperands operands = convolution_operands(instance);
  const Windows& w = g.windows;
  const int spatial = std::max(1, operands.x->shape.rank() - 2);
  Description d;
  Dims x{g.batch, g.in_channels()}, y{g.batch, g.out_channels()}, filter{g.outputs, g.inputs};
  if (g.group > 1) filter.insert(filter.begin(), g.group);
  for (int i = 3 - spatial; i < 3; ++i) {
    x.push_back(w.in[i]);
    y.push_back(w.out[i]);
    filter.push_back(w.kernel[i]);
    d.stride.push_back(w.stride[i]);
    d.dilation.push_back(w.dilation[i] - 1);
    d.pad_begin.push_back(w.pad[i]);
    d.pad_end.push_back((w.out[i] - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] + 1 - w.in[i] - w.pad[i]);
  }
  const Tag channels_last[] = {Tag::nwc, Tag::nhwc, Tag::ndhwc};
  const Tag plain[] = {Tag::oiw, Tag::oihw, Tag::oidhw};
  const Tag plain_grouped[] = {Tag::goiw, Tag::goihw, Tag::goidhw};
  const bool narrow = operands.x->dtype == DType::kBF16 || operands.y->dtype == DType::kBF16;
  d.x = memory::desc(x, type_of(*operands.x), channels_last[spatial - 1]);
  d.y = memory::desc(y, type_of(*operands.y), channels_last[spatial - 1]);
  d.weights = memory::desc(filter, Type::f32, (g.group > 1 ? plain_grouped : plain)[spatial - 1]);
  d.any_weights = memory::desc(filter, narrow ? Type::bf16 : Type::f32, Tag::any);
  d.any_gradient = memory::desc(filter, Type::f32, Tag::any);
  d.bias = memory::desc({g.out_channels()}, Type::f32, Tag::x);
  return d;
}

dnnl::convolution_forward::primitive_desc forward_desc(const Description& d, bool bias, const Epilogue& epilogue) {
  const dnnl::convolution_forward::desc desc =
      bias
          ? dnnl::convolution_forward::desc(dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, d.x,
                                            d.any_weights, d.bias, d.y, d.stride, d.dilation, d.pad_begin, d.pad_end)
          : dnnl::convolution_forward::desc(dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, d.x,
                                            d.any_weights, d.y, d.stride, d.dilation, d.pad_begin, d.pad_end);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (epilogue.relu) attributes.set_post_ops(onednn_relu(epilogue.slope));
  return dnnl::convolution_forward::primitive_desc(desc, attributes, onednn_engine());
}

dnnl::primitive_attr gradient_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

dnnl::convolution_backward_data::primitive_desc input_gradient_desc(const Description& d) {
  const dnnl::convolution_backward_data::desc desc(dnnl::algorithm::convolution_direct, d.x, d.any_weights, d.y,
                                                   d.stride, d.dilation, d.pad_begin, d.pad_end);
  return dnnl::convolution_backward_data::primitive_desc(desc, gradient_attributes(), onednn_engine(),
                                                         forward_desc(d, false, {}));
}

dnnl::convolution_backward_weights::primitive_desc weight_gradient_desc(const Description& d) {
  const dnnl::convolution_backward_weights::desc desc(dnnl::algorithm::convolution_direct, d.x, d.any_gradient, d.y,
                                                      d.stride, d.dilation, d.pad_begin, d.pad_end);
  return dnnl::convolution_backward_weights::primitive_desc(desc, gradient_attributes(), onednn_engine(),
                                                            forward_desc(d, false, {}));
}

// Skips reference implementations of oneDNN; returns false if there is no other.
template <typename Desc>
bool skip_plain_loops(Desc& desc) {
  while (std::string_view(desc.impl_info_str()).find("ref") != std::string_view::npos) {
    if (!desc.next_impl()) return false;
  }
  return true;
}

// The chosen primitive.
struct Chosen {
  dnnl::primitive primitive;
  memory::desc weights, scratchpad;
};

template <typename Primitive, typename Desc>
std::optional<Chosen> chosen(Desc desc, memory::desc (Desc::*weights)() const) {
  if (!skip_plain_loops(desc)) return std::nullopt;
  return Chosen{Primitive(desc), (desc.*weights)(), desc.scratchpad_desc()};
}

std::optional<Chosen> choose(const OpInstance& instance, const Description& d) {
  try {
    switch (instance.op->kind) {
      case OpKind::kConvolution:
        return chosen<dnnl::convolution_forward>(
            forward_desc(d, instance.inputs.size() > 2, instance.op->as<ConvolutionAttributes>().epilogue),
            &dnnl::convolution_forward::primitive_desc::weights_desc);
      case OpKind::kConvolutionInputGradient:
        return chosen<dnnl::convolution_backward_data>(input_gradient_desc(d),
                                                       &dnnl::convolution_backward_data::primitive_desc::weights_desc);
      default:
        return chosen<dnnl::convolution_backward_weights>(
            weight_gradient_desc(d), &dnnl::convolution_backward_weights::primitive_desc::diff_weights_desc);
    }
  } catch (const dnnl::error&) {
    return std::nullopt;
  }
}

class Convolution : public CpuKernel {
 public:
  explicit Convolution(const OpInstance& instance) : Convolution(instance, describe(instance)) {}

  int64_t workspace_bytes() const override { return scratchpad_bytes_ + weights_bytes_; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* memory) override {
    CpuKernel::bind(inputs, outputs, memory);
    void* weights = nullptr;
    switch (kind_) {
      case OpKind::kConvolution:
        x_.set_data_handle(inputs[0]);
        weights = inputs[1];
        if (has_bias_) bias_.set_data_handle(inputs[2]);
        y_.set_data_handle(outputs[0]);
        break;
      case OpKind::kConvolutionInputGradient:
        y_.set_data_handle(inputs[0]);
        weights = inputs[1];
        x_.set_data_handle(outputs[0]);
        break;
      default:
        x_.set_data_handle(inputs[0]);
        y_.set_data_handle(inputs[1]);
        weights = outputs[0];
    }
    our_weights_.set_data_handle(weights);
    if (weights_bytes_ > 0) their_weights_.set_data_handle(workspace() + scratchpad_bytes_);
    if (scratchpad_bytes_ > 0) scratchpad_.set_data_handle(workspace());
  }

  void run(const RunContext&) override {
    if (weights_bytes_ > 0 && kind_ != OpKind::kConvolutionWeightGradient) reorder_.run();
    call_.run();
    if (weights_bytes_ > 0 && kind_ == OpKind::kConvolutionWeightGradient) reorder_.run();
    if (kind_ != OpKind::kConvolutionInputGradient) return;
    if (narrow_) {
      apply_epilogue(output<Bf16>(0));
    } else {
      apply_epilogue(output(0));
    }
  }

 private:
  // oneDNN has no bias and relu for an input gradient.
  template <typename T>
  void apply_epilogue(T* x) const {
    apply_epilogue_to_rows(threads(), g_.batch * g_.windows.in_count(), g_.in_channels(), optional_input(2), epilogue_,
                           x);
  }

  Convolution(const OpInstance& instance, const Description& d)
      : CpuKernel(instance),
        g_(convolution_geometry(instance)),
        kind_(instance.op->kind),
        epilogue_(instance.op->as<ConvolutionAttributes>().epilogue),
        has_bias_(kind_ == OpKind::kConvolution && instance.inputs.size() > 2),
        narrow_(instance.outputs[0].dtype == DType::kBF16),
        x_(onednn_memory(d.x)),
        y_(onednn_memory(d.y)),
        bias_(onednn_memory(d.bias)),
        our_weights_(onednn_memory(d.weights)) {
    const Chosen chosen = *choose(instance, d);
    their_weights_ = our_weights_;
    if (chosen.weights != d.weights) {
      their_weights_ = onednn_memory(chosen.weights);
      weights_bytes_ = aligned(static_cast<int64_t>(chosen.weights.get_size()));
      reorder_ = kind_ == OpKind::kConvolutionWeightGradient ? onednn_reorder(their_weights_, our_weights_)
                                                             : onednn_reorder(our_weights_, their_weights_);
    }
    scratchpad_ = onednn_memory(chosen.scratchpad);
    scratchpad_bytes_ = aligned(static_cast<int64_t>(chosen.scratchpad.get_size()));
    call_ = OnednnCall(chosen.primitive);
    call_.argument(DNNL_ARG_SCRATCHPAD, scratchpad_);
    switch (kind_) {
      case OpKind::kConvolution:
        call_.argument(DNNL_ARG_SRC, x_);
        call_.argument(DNNL_ARG_WEIGHTS, their_weights_);
        if (has_bias_) call_.argument(DNNL_ARG_BIAS, bias_);
        call_.argument(DNNL_ARG_DST, y_);
        break;
      case OpKind::kConvolutionInputGradient:
        call_.argument(DNNL_ARG_DIFF_DST, y_);
        call_.argument(DNNL_ARG_WEIGHTS, their_weights_);
        call_.argument(DNNL_ARG_DIFF_SRC, x_);
        break;
      default:
        call_.argument(DNNL_ARG_SRC, x_);
        call_.argument(DNNL_ARG_DIFF_DST, y_);
        call_.argument(DNNL_ARG_DIFF_WEIGHTS, their_weights_);
    }
  }

  ConvolutionGeometry g_;
  OpKind kind_;
  Epilogue epilogue_;
  bool has_bias_, narrow_;  // narrow_: the result is bf16
  memory x_, y_, bias_, our_weights_, their_weights_, scratchpad_;
  int64_t weights_bytes_ = 0, scratchpad_bytes_ = 0;
  OnednnCall reorder_, call_;
};

}  // namespace

std::string refuse_convolution_onednn(const OpInstance& instance) {
  const ConvolutionOperands operands = convolution_operands(instance);
  const std::string reason = refuse_images(operands);
  if (!reason.empty()) return reason;
  const ConvolutionGeometry g = convolution_geometry(instance);
  if (!g.fits_32_bits()) return "a padded image is past oneDNN's 32-bit extents";
  if (g.windows.taps() > kMaxTaps) return fmt::format("more than {} taps; oneDNN allocates tables of them", kMaxTaps);
  if (!choose(instance, describe(instance))) return "oneDNN has only plain loops for this geometry";
  return "";
}

std::unique_ptr<Kernel> create_convolution_onednn(const OpInstance& instance) {
  return std::make_unique<Convolution>(instance);
}

}  // namespace trainer::cpu
