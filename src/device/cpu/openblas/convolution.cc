// Convolution and its gradients as matrix products over unfolded windows.
//
// Channels-last, with columns [positions, taps * C] and filters [O, taps * C] (reordered in the workspace):
//   y = columns filters^T;  dx = fold(dy filters);  dfilters = dy^T columns, summed over blocks of images.
// Row-major, image by image, with columns [C * taps, positions] and filters [O, C * taps] as stored:
//   y = filters columns;    dx = fold(filters^T dy); dfilters = dy columns^T.
// A group is a slice of the channels.
#include <algorithm>
#include <climits>

#include <fmt/format.h>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/epilogue.h"
#include "device/cpu/openblas/gemm.h"
#include "device/cpu/openblas/openblas.h"
#include "device/cpu/openblas/unfold.h"
#include "device/cpu/parallel.h"
#include "runtime/windows.h"

namespace trainer::cpu {
namespace {

// The size of the columns for a block of images: large enough for products on several threads, small enough for the
// cache.
constexpr int64_t kColumnBytes = int64_t{4} << 20;
constexpr int64_t kFloat = sizeof(float);

class ConvolutionKernel : public CpuKernel {
 public:
  explicit ConvolutionKernel(const OpInstance& instance)
      : CpuKernel(instance),
        g_(convolution_geometry(instance)),
        w_(g_.windows),
        kind_(instance.op->kind),
        epilogue_(instance.op->as<ConvolutionAttributes>().epilogue),
        places_(w_.out_count()),
        pixels_(w_.in_count()) {}

 protected:
  // The tensors by their role in the convolution; one of them is the result.
  float* x() const { return kind_ == OpKind::kConvolutionInputGradient ? output(0) : const_cast<float*>(input(0)); }
  float* weights() const {
    return kind_ == OpKind::kConvolutionWeightGradient ? output(0) : const_cast<float*>(input(1));
  }
  float* y() const {
    switch (kind_) {
      case OpKind::kConvolution: return output(0);
      case OpKind::kConvolutionInputGradient: return const_cast<float*>(input(0));
      default: return const_cast<float*>(input(1));
    }
  }
  const float* bias() const { return kind_ == OpKind::kConvolutionWeightGradient ? nullptr : optional_input(2); }

  ConvolutionGeometry g_;
  Windows w_;
  OpKind kind_;
  Epilogue epilogue_;
  int64_t places_, pixels_;
};

class ChannelsLast : public ConvolutionKernel {
 public:
  explicit ChannelsLast(const OpInstance& instance)
      : ConvolutionKernel(instance),
        unfolds_(!g_.pointwise()),
        block_(std::clamp<int64_t>(kColumnBytes / std::max<int64_t>(1, places_ * g_.filter() * kFloat), 1,
                                   std::max<int64_t>(1, g_.batch))) {}

  int64_t workspace_bytes() const override { return filter_bytes() + (unfolds_ ? column_bytes() : 0); }

  void run(const RunContext&) override {
    if (kind_ != OpKind::kConvolutionWeightGradient) reorder_filters(weights(), filters());
    for (int64_t group = 0; group < g_.group; ++group) {
      for (int64_t n = 0; n < g_.batch; n += block_) run_block(group, n, std::min(block_, g_.batch - n));
    }
    switch (kind_) {
      case OpKind::kConvolution:
        apply_epilogue_to_rows(threads(), g_.batch * places_, g_.out_channels(), bias(), epilogue_, y());
        break;
      case OpKind::kConvolutionInputGradient:
        apply_epilogue_to_rows(threads(), g_.batch * pixels_, g_.in_channels(), bias(), epilogue_, x());
        break;
      default: restore_filters(filters(), weights());
    }
  }

 private:
  int64_t filter_bytes() const { return aligned(g_.out_channels() * g_.filter() * kFloat); }
  int64_t column_bytes() const { return aligned(block_ * places_ * g_.filter() * kFloat); }
  float* filters() const { return reinterpret_cast<float*>(workspace()); }

  void run_block(int64_t group, int64_t n, int64_t images) const {
    float* image = x() + n * pixels_ * g_.in_channels() + group * g_.inputs;
    float* result = y() + n * places_ * g_.out_channels() + group * g_.outputs;
    float* filter = filters() + group * g_.outputs * g_.filter();
    float* columns = unfolds_ ? reinterpret_cast<float*>(workspace() + filter_bytes()) : image;
    const int64_t step = unfolds_ ? g_.filter() : g_.in_channels();
    const int64_t rows = images * places_;
    if (unfolds_ && kind_ != OpKind::kConvolutionInputGradient) {
      unfold_channels_last(threads(), w_, images, g_.inputs, g_.in_channels(), image, columns);
    }
    switch (kind_) {
      case OpKind::kConvolution:
        gemm(false, true, rows, g_.outputs, g_.filter(), columns, step, filter, g_.filter(), false, result,
             g_.out_channels());
        break;
      case OpKind::kConvolutionInputGradient:
        gemm(false, false, rows, g_.filter(), g_.outputs, result, g_.out_channels(), filter, g_.filter(), false,
             columns, step);
        if (unfolds_) fold_channels_last(threads(), w_, images, g_.inputs, g_.in_channels(), columns, image);
        break;
      default:
        gemm(true, false, g_.outputs, g_.filter(), rows, result, g_.out_channels(), columns, step, n > 0, filter,
             g_.filter());
    }
  }

  // [O, C, taps] to [O, taps, C] and back.
  void reorder_filters(const float* ours, float* theirs) const {
    const int64_t taps = w_.taps(), channels = g_.inputs;
    parallel_ranges(threads(), g_.out_channels(), g_.filter(), [&](int, int64_t begin, int64_t end) {
      for (int64_t i = begin * g_.filter(); i < end * g_.filter(); i += g_.filter()) {
        for (int64_t tap = 0; tap < taps; ++tap) {
          for (int64_t c = 0; c < channels; ++c) theirs[i + tap * channels + c] = ours[i + c * taps + tap];
        }
      }
    });
  }
  void restore_filters(const float* theirs, float* ours) const {
    const int64_t taps = w_.taps(), channels = g_.inputs;
    parallel_ranges(threads(), g_.out_channels(), g_.filter(), [&](int, int64_t begin, int64_t end) {
      for (int64_t i = begin * g_.filter(); i < end * g_.filter(); i += g_.filter()) {
        for (int64_t c = 0; c < channels; ++c) {
          for (int64_t tap = 0; tap < taps; ++tap) ours[i + c * taps + tap] = theirs[i + tap * channels + c];
        }
      }
    });
  }

  bool unfolds_;
  int64_t block_;  // images per block
};

class RowMajor : public ConvolutionKernel {
 public:
  explicit RowMajor(const OpInstance& instance) : ConvolutionKernel(instance), unfolds_(!g_.pointwise()) {}

  int64_t workspace_bytes() const override { return unfolds_ ? aligned(places_ * g_.filter() * kFloat) : 0; }

  void run(const RunContext&) override {
    for (int64_t n = 0; n < g_.batch; ++n) {
      for (int64_t group = 0; group < g_.group; ++group) run_image(n, group);
    }
    if (kind_ == OpKind::kConvolution) {
      apply_epilogue_to_planes(threads(), g_.batch * g_.out_channels(), g_.out_channels(), places_, bias(), epilogue_,
                               y());
    } else if (kind_ == OpKind::kConvolutionInputGradient) {
      apply_epilogue_to_planes(threads(), g_.batch * g_.in_channels(), g_.in_channels(), pixels_, bias(), epilogue_,
                               x());
    }
  }

 private:
  void run_image(int64_t n, int64_t group) const {
    float* image = x() + (n * g_.in_channels() + group * g_.inputs) * pixels_;
    float* result = y() + (n * g_.out_channels() + group * g_.outputs) * places_;
    float* filter = weights() + group * g_.outputs * g_.filter();
    float* columns = unfolds_ ? reinterpret_cast<float*>(workspace()) : image;
    if (unfolds_ && kind_ != OpKind::kConvolutionInputGradient) {
      unfold_row_major(threads(), w_, g_.inputs, image, columns);
    }
    switch (kind_) {
      case OpKind::kConvolution:
        gemm(false, false, g_.outputs, places_, g_.filter(), filter, g_.filter(), columns, places_, false, result,
             places_);
        break;
      case OpKind::kConvolutionInputGradient:
        gemm(true, false, g_.filter(), places_, g_.outputs, filter, g_.filter(), result, places_, false, columns,
             places_);
        if (unfolds_) fold_row_major(threads(), w_, g_.inputs, columns, image);
        break;
      default:
        gemm(false, true, g_.outputs, g_.filter(), places_, result, places_, columns, places_, n > 0, filter,
             g_.filter());
    }
  }

  bool unfolds_;
};

bool images_lie_in(const ConvolutionOperands& operands, MemoryFormat order) {
  return has_format(*operands.x, order) && has_format(*operands.y, order);
}

}  // namespace

std::string refuse_convolution_openblas(const OpInstance& instance) {
  const std::string reason = refuse_bf16(instance);
  if (!reason.empty()) return reason;
  const ConvolutionOperands operands = convolution_operands(instance);
  for (const TensorDesc* desc : {operands.x, operands.weights, operands.y}) {
    if (desc->shape.count() == 0) return "an operand is empty";
    if (desc->shape.count() > INT_MAX) return "an operand is past OpenBLAS's 32-bit sizes";
  }
  if (!has_format(*operands.weights, MemoryFormat::kRowMajor)) return "the weights are channels-last";
  if (!images_lie_in(operands, MemoryFormat::kChannelsLast) && !images_lie_in(operands, MemoryFormat::kRowMajor)) {
    return "input and output have different orders";
  }
  return "";
}

std::unique_ptr<Kernel> create_convolution_openblas(const OpInstance& instance) {
  if (images_lie_in(convolution_operands(instance), MemoryFormat::kChannelsLast)) {
    return std::make_unique<ChannelsLast>(instance);
  }
  return std::make_unique<RowMajor>(instance);
}

}  // namespace trainer::cpu
