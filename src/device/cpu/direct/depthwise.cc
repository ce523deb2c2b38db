// Depthwise convolution and its gradients over channels-last tensors.
#include <algorithm>
#include <utility>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/isa.h"
#include "device/cpu/isa/depthwise.h"
#include "device/cpu/parallel.h"
#include "runtime/windows.h"

namespace trainer::cpu {
namespace {

// Whether the op is an input gradient that runs as a forward pass by rows, with flipped filters.
bool is_flipped(OpKind kind, const PoolGeometry& g) {
  const Windows& w = g.windows;
  return kind == OpKind::kConvolutionInputGradient && depthwise_takes_rows(g) && w.stride[1] == 1 &&
         std::max(w.pad[1], w.pad[2]) < w.kernel[1];
}

// T: float or Bf16.
template <typename T>
class Depthwise : public CpuKernel {
 public:
  explicit Depthwise(const OpInstance& instance)
      : CpuKernel(instance),
        kind_(instance.op->kind),
        epilogue_(instance.op->as<ConvolutionAttributes>().epilogue),
        table_(for_isa(isa_v2::kDepthwiseTables, isa_v3::kDepthwiseTables, isa_v4::kDepthwiseTables).template of<T>()) {
    const ConvolutionGeometry convolution = convolution_geometry(instance);
    g_.batch = convolution.batch;
    g_.channels = convolution.group;
    g_.windows = convolution.windows;
    taps_ = g_.windows.taps();
    rows_ = depthwise_takes_rows(g_);
    flipped_ = is_flipped(kind_, g_);
    for (int i = 1; flipped_ && i < 3; ++i) {
      std::swap(g_.windows.in[i], g_.windows.out[i]);
      g_.windows.pad[i] = g_.windows.kernel[i] - 1 - g_.windows.pad[i];
    }
  }

  // Filters [taps, C]: one copy, or one per thread for the weight gradient.
  int64_t workspace_bytes() const override {
    return filter_bytes() * (kind_ == OpKind::kConvolutionWeightGradient ? threads() : 1);
  }

  void run(const RunContext&) override {
    if (rows_ && (kind_ == OpKind::kConvolution || flipped_)) return run_rows();
    const int64_t inputs = g_.batch * g_.windows.in_count(), outputs = g_.batch * g_.windows.out_count();
    const int64_t work = g_.channels * taps_;
    switch (kind_) {
      case OpKind::kConvolution:
        flip_filters();
        parallel_ranges(threads(), outputs, work, [this](int, int64_t begin, int64_t end) {
          table_.forward(g_, input<T>(0), filters(0), epilogue(), output<T>(0), begin, end);
        });
        break;
      case OpKind::kConvolutionInputGradient:
        flip_filters();
        parallel_ranges(threads(), inputs, work, [this](int, int64_t begin, int64_t end) {
          table_.input_gradient(g_, input<T>(0), filters(0), epilogue(), output<T>(0), begin, end);
        });
        break;
      default: run_weight_gradient(outputs, work);
    }
  }

 private:
  ChannelEpilogue epilogue() const { return {optional_input(2), epilogue_.relu ? epilogue_.slope : 1.0f}; }
  int64_t row_count() const { return g_.batch * g_.windows.out[1]; }
  int64_t row_work() const { return g_.windows.out[2] * g_.channels * taps_; }

  void run_rows() {
    flip_filters();
    const bool around = leaves_caches(output<T>(0), g_.batch * g_.windows.out_count() * g_.channels);
    parallel_ranges(threads(), row_count(), row_work(), [this, around](int, int64_t begin, int64_t end) {
      table_.forward_rows(g_, input<T>(0), filters(0), epilogue(), output<T>(0), begin, end, around);
    });
  }

  int64_t filter_bytes() const { return aligned(taps_ * g_.channels * static_cast<int64_t>(sizeof(float))); }
  float* filters(int thread) const { return reinterpret_cast<float*>(workspace() + thread * filter_bytes()); }

  // [C, taps] to [taps, C], with the taps in reverse order for the flipped pass.
  void flip_filters() const {
    const float* from = input(1);
    float* to = filters(0);
    for (int64_t tap = 0; tap < taps_; ++tap) {
      for (int64_t c = 0; c < g_.channels; ++c)
        to[tap * g_.channels + c] = from[c * taps_ + (flipped_ ? taps_ - 1 - tap : tap)];
    }
  }

  void run_weight_gradient(int64_t outputs, int64_t work) const {
    const int64_t count = taps_ * g_.channels;
    for (int thread = 0; thread < threads(); ++thread) std::fill_n(filters(thread), count, 0.0f);
    if (rows_) {
      parallel_ranges(threads(), row_count(), row_work(), [this](int thread, int64_t begin, int64_t end) {
        table_.weight_gradient_rows(g_, input<T>(0), input<T>(1), filters(thread), begin, end);
      });
    } else {
      parallel_ranges(threads(), outputs, work, [this](int thread, int64_t begin, int64_t end) {
        table_.weight_gradient(g_, input<T>(0), input<T>(1), filters(thread), begin, end);
      });
    }
    float* result = output(0);
    for (int64_t c = 0; c < g_.channels; ++c) {
      for (int64_t tap = 0; tap < taps_; ++tap) {
        float sum = 0;
        for (int thread = 0; thread < threads(); ++thread) sum += filters(thread)[tap * g_.channels + c];
        result[c * taps_ + tap] = sum;
      }
    }
  }

  OpKind kind_;
  Epilogue epilogue_;
  const DepthwiseTable<T>& table_;
  PoolGeometry g_;
  int64_t taps_ = 1;
  bool rows_ = false, flipped_ = false;
};

}  // namespace

std::string refuse_depthwise_direct(const OpInstance& instance) {
  const ConvolutionOperands operands = convolution_operands(instance);
  if (operands.x->dtype != operands.y->dtype) return "input and output have different types";
  const int64_t group = instance.op->as<ConvolutionAttributes>().group;
  if (group == 1 || operands.x->shape[1] != group || operands.y->shape[1] != group) {
    return "more than one channel per group";
  }
  if (!has_format(*operands.x, MemoryFormat::kChannelsLast) || !has_format(*operands.y, MemoryFormat::kChannelsLast)) {
    return "an operand is row-major";
  }
  return has_format(*operands.weights, MemoryFormat::kRowMajor) ? "" : "the weights are channels-last";
}

std::string refuse_depthwise_rows(const OpInstance& instance) {
  const std::string reason = refuse_depthwise_direct(instance);
  if (!reason.empty()) return reason;
  const ConvolutionGeometry convolution = convolution_geometry(instance);
  const PoolGeometry g{convolution.batch, convolution.group, convolution.windows};
  if (!depthwise_takes_rows(g)) return "not 3x3 with one stride of 1 or 2, no dilation and channels in sixteens";
  if (instance.op->kind == OpKind::kConvolutionInputGradient && !is_flipped(instance.op->kind, g))
    return "an input gradient with a stride, or padding as wide as the kernel";
  return "";
}

std::unique_ptr<Kernel> create_depthwise_direct(const OpInstance& instance) {
  if (convolution_operands(instance).x->dtype == DType::kBF16) return std::make_unique<Depthwise<Bf16>>(instance);
  return std::make_unique<Depthwise<float>>(instance);
}

}  // namespace trainer::cpu
