// Depthwise convolution and its gradients over channels-last tensors.
#include <algorithm>

#include "device/cpu/bound_kernel.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/finish.h"
#include "device/cpu/isa.h"
#include "device/cpu/isa/depthwise.h"
#include "device/cpu/parallel.h"
#include "device/cpu/windows.h"

namespace trainer::cpu {
namespace {

class Depthwise : public BoundKernel {
 public:
  explicit Depthwise(const OpInstance& instance)
      : BoundKernel(instance),
        kind_(instance.op->kind),
        epilogue_(instance.op->as<ConvolutionAttributes>().epilogue),
        table_(for_isa(isa_v2::kDepthwiseTable, isa_v3::kDepthwiseTable, isa_v4::kDepthwiseTable)) {
    const ConvolutionGeometry convolution = convolution_geometry(instance);
    g_.batch = convolution.batch;
    g_.channels = convolution.group;
    g_.windows = convolution.windows;
    taps_ = g_.windows.taps();
  }

  // Filters [taps, C]: one set, or for the weight gradient one sum for each thread.
  int64_t workspace_bytes() const override {
    return filter_bytes() * (kind_ == OpKind::kConvolutionWeightGradient ? threads() : 1);
  }

  void run(const RunContext&) override {
    const int64_t inputs = g_.batch * g_.windows.in_count(), outputs = g_.batch * g_.windows.out_count();
    const int64_t work = g_.channels * taps_;
    switch (kind_) {
      case OpKind::kConvolution:
        turn_filters();
        parallel_ranges(threads(), outputs, work, [this](int, int64_t begin, int64_t end) {
          table_.forward(g_, input(0), filters(0), output(0), begin, end);
        });
        finish_rows(threads(), outputs, g_.channels, optional_input(2), epilogue_, output(0));
        break;
      case OpKind::kConvolutionInputGradient:
        turn_filters();
        parallel_ranges(threads(), inputs, work, [this](int, int64_t begin, int64_t end) {
          table_.input_gradient(g_, input(0), filters(0), output(0), begin, end);
        });
        finish_rows(threads(), inputs, g_.channels, optional_input(2), epilogue_, output(0));
        break;
      default: run_weight_gradient(outputs, work);
    }
  }

 private:
  int64_t filter_bytes() const { return aligned(taps_ * g_.channels * static_cast<int64_t>(sizeof(float))); }
  float* filters(int thread) const { return reinterpret_cast<float*>(workspace() + thread * filter_bytes()); }

  // [C, taps] to [taps, C].
  void turn_filters() const {
    const float* from = input(1);
    float* to = filters(0);
    for (int64_t tap = 0; tap < taps_; ++tap) {
      for (int64_t c = 0; c < g_.channels; ++c) to[tap * g_.channels + c] = from[c * taps_ + tap];
    }
  }

  void run_weight_gradient(int64_t outputs, int64_t work) const {
    const int64_t count = taps_ * g_.channels;
    for (int thread = 0; thread < threads(); ++thread) std::fill_n(filters(thread), count, 0.0f);
    parallel_ranges(threads(), outputs, work, [this](int thread, int64_t begin, int64_t end) {
      table_.weight_gradient(g_, input(0), input(1), filters(thread), begin, end);
    });
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
  const DepthwiseTable& table_;
  PoolGeometry g_;
  int64_t taps_ = 1;
};

}  // namespace

std::string refuse_depthwise_direct(const OpInstance& instance) {
  const ConvolutionOperands operands = convolution_operands(instance);
  const int64_t group = instance.op->as<ConvolutionAttributes>().group;
  if (group == 1 || operands.x->shape[1] != group || operands.y->shape[1] != group) {
    return "more than one channel per group";
  }
  if (!lies_in(*operands.x, Order::kChannelsLast) || !lies_in(*operands.y, Order::kChannelsLast)) {
    return "an operand is row-major";
  }
  return lies_in(*operands.weights, Order::kRowMajor) ? "" : "the weights are channels-last";
}

std::unique_ptr<Kernel> create_depthwise_direct(const OpInstance& instance) {
  return std::make_unique<Depthwise>(instance);
}

}  // namespace trainer::cpu
