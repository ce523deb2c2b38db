// A kernel of kernels/ as an implementation of an op: its arguments are built when the addresses become known.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device/cuda/check.h"
#include "device/cuda/cuda_kernel.h"
#include "device/cuda/implementations.h"
#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

// The addresses of an op's operands and results.
struct Addresses {
  std::span<void*const> inputs, outputs;
};

inline ElementType type_of(const TensorDesc& desc) { return static_cast<ElementType>(desc.dtype); }

// Why an op cannot run if one of its first `inputs` operands is not of floats, or "".
inline std::string refuse_integers(const OpInstance& instance, size_t inputs) {
  for (size_t i = 0; i < inputs; ++i) {
    const DType dtype = instance.inputs[i].dtype;
    if (dtype != DType::kF32 && dtype != DType::kBF16 && dtype != DType::kF16)
      return fmt::format("an operand is {}", name_of(dtype));
  }
  return "";
}

// The bytes of scratch memory, the kernels that a launch queues, and KernelCost::bytes.
struct FixedKernelCosts {
  int64_t workspace = 0, kernels = 1, bytes = 0;
};

template <typename Arguments>
class FixedKernel : public CudaKernel {
 public:
  using Launch = cudaError_t (*)(const Arguments& arguments, cudaStream_t stream);
  // The arguments of each launch.
  using Build = std::function<std::vector<Arguments>(const OpInstance& instance, const Addresses& at, float* scratch)>;

  FixedKernel(Context& context, const OpInstance& instance, Launch launch, Build build,
              const FixedKernelCosts& costs = {})
      : CudaKernel(context, instance),
        op_(*instance.op),
        inputs_(instance.inputs),
        outputs_(instance.outputs),
        launch_(launch),
        build_(std::move(build)),
        costs_(costs) {}

  int64_t workspace_bytes() const override { return costs_.workspace; }
  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    const auto is_empty = [](const TensorDesc& desc) { return desc.shape.count() == 0; };
    if (std::all_of(outputs_.begin(), outputs_.end(), is_empty)) return;
    arguments_ = build_({&op_, inputs_, outputs_}, {inputs, outputs}, static_cast<float*>(workspace));
  }
  void run(const RunContext&) override {
    for (const Arguments& arguments : arguments_)
      check(launch_(arguments, context().stream()), "launching a {}", name_of(op_.kind));
  }
  KernelCost cost() const override { return {static_cast<int64_t>(arguments_.size()) * costs_.kernels, costs_.bytes}; }

 private:
  Op op_;
  std::vector<TensorDesc> inputs_, outputs_;
  Launch launch_;
  Build build_;
  FixedKernelCosts costs_;
  std::vector<Arguments> arguments_;
};

}  // namespace trainer::cuda
