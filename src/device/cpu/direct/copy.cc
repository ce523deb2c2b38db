// The ops that only move elements, as strided copies.
#include <algorithm>
#include <cstring>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/direct/strided_copy.h"
#include "device/cpu/parallel.h"

namespace trainer::cpu {
namespace {

constexpr int64_t kZeroGrain = 4096;

// The axes of `domain` with the strides of both tensors.
std::vector<CopyAxis> axes_of(const Shape& domain, const TensorDesc& from, const TensorDesc& to) {
  const std::vector<int64_t> from_strides = from.strides(), to_strides = to.strides();
  std::vector<CopyAxis> axes;
  for (int i = 0; i < domain.rank(); ++i) {
    axes.push_back({domain[i], from_strides[static_cast<size_t>(i)], to_strides[static_cast<size_t>(i)]});
  }
  return axes;
}

std::vector<CopyAxis> permuted_axes(const TensorDesc& from, const TensorDesc& to, const std::vector<int>& permutation) {
  const std::vector<int64_t> from_strides = from.strides(), to_strides = to.strides();
  std::vector<CopyAxis> axes;
  for (size_t i = 0; i < permutation.size(); ++i) {
    axes.push_back({to.shape[static_cast<int>(i)], from_strides[static_cast<size_t>(permutation[i])], to_strides[i]});
  }
  return axes;
}

class Copy : public CpuKernel {
 public:
  explicit Copy(const OpInstance& instance)
      : CpuKernel(instance), zeroed_(instance.op->kind == OpKind::kPad ? instance.outputs[0].bytes() : 0) {
    const Op& op = *instance.op;
    const TensorDesc& to = instance.outputs[0];
    const TensorDesc& from = instance.inputs[0];
    const std::vector<int64_t> to_strides = to.strides(), from_strides = from.strides();
    switch (op.kind) {
      case OpKind::kReorder: plan(axes_of(to.shape, from, to), 0, 0, to); break;
      case OpKind::kPermute: plan(permuted_axes(from, to, op.as<PermuteAttributes>().axes), 0, 0, to); break;
      case OpKind::kReshape: {
        std::vector<CopyAxis> axes;
        reshape_axes(from, to, &axes);
        plan(axes, 0, 0, to);
        break;
      }
      case OpKind::kSlice: {
        const auto& slice = op.as<SliceAttributes>();
        int64_t begin = slice.begin;
        for (const TensorDesc& part : instance.outputs) {
          plan(axes_of(part.shape, from, part), begin * from_strides[static_cast<size_t>(slice.axis)], 0, part);
          begin += part.shape[slice.axis];
        }
        break;
      }
      case OpKind::kPad: {
        const auto& slice = op.as<SliceAttributes>();
        plan(axes_of(from.shape, from, to), 0, slice.begin * to_strides[static_cast<size_t>(slice.axis)], to);
        break;
      }
      default: {
        const int axis = op.as<ConcatAttributes>().axis;
        int64_t joined = 0;
        for (const TensorDesc& part : instance.inputs) {
          plan(axes_of(part.shape, part, to), 0, joined * to_strides[static_cast<size_t>(axis)], to);
          joined += part.shape[axis];
        }
      }
    }
  }

  void run(const RunContext&) override {
    if (zeroed_ > 0) {
      parallel_ranges(
          threads(), (zeroed_ + kZeroGrain - 1) / kZeroGrain, kZeroGrain / 4, [this](int, int64_t begin, int64_t end) {
            const int64_t last = std::min(end * kZeroGrain, zeroed_);
            std::memset(output<char>(0) + begin * kZeroGrain, 0, static_cast<size_t>(last - begin * kZeroGrain));
          });
    }
    for (size_t i = 0; i < copies_.size(); ++i)
      copies_[i].run(input<char>(input_count() == 1 ? 0 : i), output<char>(output_count() == 1 ? 0 : i));
  }

 private:
  void plan(std::vector<CopyAxis> axes, int64_t from, int64_t to, const TensorDesc& result) {
    copies_.emplace_back(std::move(axes), from, to, size_of(result.dtype), threads());
  }

  std::vector<StridedCopy> copies_;
  int64_t zeroed_;
};

}  // namespace

std::string refuse_copy_direct(const OpInstance& instance) {
  if (instance.op->kind == OpKind::kReshape) {
    std::vector<CopyAxis> axes;
    if (!reshape_axes(instance.inputs[0], instance.outputs[0], &axes)) {
      return "the shapes have no common division into axes";
    }
  }
  return "";
}

std::unique_ptr<Kernel> create_copy_direct(const OpInstance& instance) { return std::make_unique<Copy>(instance); }

}  // namespace trainer::cpu
