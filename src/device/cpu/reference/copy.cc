// The ops that only move elements, one logical element at a time.
#include <cstring>

#include "base/error.h"
#include "device/cpu/cpu_kernel.h"
#include "device/cpu/reference/reference.h"

namespace trainer::cpu {
namespace {

class Copy : public CpuKernel {
 public:
  explicit Copy(const OpInstance& instance)
      : CpuKernel(instance),
        kind_(instance.op->kind),
        in_(instance.inputs),
        out_(instance.outputs[0]),
        out_strides_(out_.strides()),
        bytes_(size_of(out_.dtype)) {
    for (const TensorDesc& desc : in_) in_strides_.push_back(desc.strides());
    if (kind_ == OpKind::kPermute) axes_ = instance.op->as<PermuteAttributes>().axes;
    if (kind_ == OpKind::kConcat) axis_ = instance.op->as<ConcatAttributes>().axis;
    if (kind_ == OpKind::kSlice || kind_ == OpKind::kPad) {
      axis_ = instance.op->as<SliceAttributes>().axis;
      begin_ = instance.op->as<SliceAttributes>().begin;
    }
  }

  void run(const RunContext&) override {
    if (kind_ == OpKind::kPad) std::memset(output<char>(0), 0, static_cast<size_t>(out_.bytes()));
    int64_t joined = 0;
    for (size_t i = 0; i < in_.size(); ++i) {
      copy(i, joined);
      if (kind_ == OpKind::kConcat) joined += in_[i].shape[axis_];
    }
  }

 private:
  // Copies input i. For a concatenation it begins at `joined` along the axis.
  void copy(size_t i, int64_t joined) {
    // The loop covers the result of a slice, and otherwise the input.
    const Shape& domain = kind_ == OpKind::kSlice ? out_.shape : in_[i].shape;
    const int64_t count = domain.count();
    const char* from = input<char>(i);
    char* to = output<char>(0);
#pragma omp parallel for num_threads(threads())
    for (int64_t element = 0; element < count; ++element) {
      int64_t source = 0, target = 0, rest = element;
      for (int axis = domain.rank() - 1; axis >= 0; --axis) {
        const int64_t at = rest % domain[axis];
        rest /= domain[axis];
        const bool along = axis == axis_;
        source += (at + (along && kind_ == OpKind::kSlice ? begin_ : 0)) * in_strides_[i][static_cast<size_t>(axis)];
        if (kind_ == OpKind::kReshape) continue;
        const int64_t shift = !along ? 0 : kind_ == OpKind::kPad ? begin_ : kind_ == OpKind::kConcat ? joined : 0;
        target += (at + shift) * out_strides_[static_cast<size_t>(result_axis(axis))];
      }
      if (kind_ == OpKind::kReshape) target = reshaped(element);
      std::memcpy(to + target * bytes_, from + source * bytes_, static_cast<size_t>(bytes_));
    }
  }

  int result_axis(int axis) const {
    for (size_t i = 0; i < axes_.size(); ++i) {
      if (axes_[i] == axis) return static_cast<int>(i);
    }
    return axis;
  }

  int64_t reshaped(int64_t element) const {
    int64_t target = 0;
    for (int axis = out_.shape.rank() - 1; axis >= 0; --axis) {
      target += element % out_.shape[axis] * out_strides_[static_cast<size_t>(axis)];
      element /= out_.shape[axis];
    }
    return target;
  }

  OpKind kind_;
  std::vector<TensorDesc> in_;
  TensorDesc out_;
  std::vector<std::vector<int64_t>> in_strides_;
  std::vector<int64_t> out_strides_;
  int64_t bytes_;
  std::vector<int> axes_;
  int axis_ = -1;
  int64_t begin_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> create_copy_reference(const OpInstance& instance) { return std::make_unique<Copy>(instance); }

}  // namespace trainer::cpu
