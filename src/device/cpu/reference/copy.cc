// The ops that only move elements, one logical element at a time.
#include <algorithm>
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
        out_(instance.outputs),
        out_strides_(out_[0].strides()),
        bytes_(size_of(out_[0].dtype)) {
    if (kind_ == OpKind::kPermute) axes_ = instance.op->as<PermuteAttributes>().axes;
    if (kind_ == OpKind::kConcat) axis_ = instance.op->as<ConcatAttributes>().axis;
    if (kind_ == OpKind::kSlice || kind_ == OpKind::kPad) {
      axis_ = instance.op->as<SliceAttributes>().axis;
      begin_ = instance.op->as<SliceAttributes>().begin;
    }
  }

  void run(const RunContext&) override {
    if (kind_ == OpKind::kPad) std::memset(output<char>(0), 0, static_cast<size_t>(out_[0].bytes()));
    const bool slices = kind_ == OpKind::kSlice;
    int64_t begin = begin_;
    for (size_t i = 0; i < std::max(in_.size(), out_.size()); ++i) {
      const Shape& domain = (slices ? out_ : in_)[i].shape;
      if (slices) {
        copy(0, i, domain, begin, 0);
      } else {
        copy(i, 0, domain, 0, begin);
      }
      if (axis_ >= 0) begin += domain[axis_];
    }
  }

 private:
  // Copies the elements of `domain` from input `i` to result `j`. Along the axis they begin at `from_begin` of the
  // input and at `to_begin` of the result.
  void copy(size_t i, size_t j, const Shape& domain, int64_t from_begin, int64_t to_begin) {
    const std::vector<int64_t> from_strides = in_[i].strides(), to_strides = out_[j].strides();
    const int64_t count = domain.count();
    const char* from = input<char>(i);
    char* to = output<char>(j);
#pragma omp parallel for num_threads(threads())
    for (int64_t element = 0; element < count; ++element) {
      int64_t source = 0, target = 0, rest = element;
      for (int axis = domain.rank() - 1; axis >= 0; --axis) {
        const int64_t at = rest % domain[axis];
        rest /= domain[axis];
        const bool along = axis == axis_;
        source += (at + (along ? from_begin : 0)) * from_strides[static_cast<size_t>(axis)];
        if (kind_ == OpKind::kReshape) continue;
        target += (at + (along ? to_begin : 0)) * to_strides[static_cast<size_t>(result_axis(axis))];
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
    const Shape& shape = out_[0].shape;
    int64_t target = 0;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      target += element % shape[axis] * out_strides_[static_cast<size_t>(axis)];
      element /= shape[axis];
    }
    return target;
  }

  OpKind kind_;
  std::vector<TensorDesc> in_, out_;
  std::vector<int64_t> out_strides_;  // of the first result
  int64_t bytes_;
  std::vector<int> axes_;
  int axis_ = -1;
  int64_t begin_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> create_copy_reference(const OpInstance& instance) { return std::make_unique<Copy>(instance); }

}  // namespace trainer::cpu
