// Opaque ops run on the host: their operands are copied to the host and their results to the GPU.
#include <algorithm>
#include <vector>

#include "device/cuda/cuda_kernel.h"
#include "device/cuda/implementations.h"
#include "ops/opaque.h"

namespace trainer::cuda {
namespace {

class HostOp : public CudaKernel {
 public:
  HostOp(Context& context, const OpInstance& instance)
      : CudaKernel(context, instance), op_(instance.op->as<OpaqueAttributes>().op) {
    for (const TensorDesc& desc : instance.inputs) operands_.emplace_back(static_cast<size_t>(desc.shape.count()));
    for (const TensorDesc& desc : instance.outputs) results_.emplace_back(static_cast<size_t>(desc.shape.count()));
    for (const auto& operand : operands_) from_.push_back(operand.data());
    for (auto& result : results_) to_.push_back(result.data());
  }

  bool recordable() const override { return false; }
  KernelCost cost() const override {
    const auto is_copied = [](const std::vector<float>& values) { return !values.empty(); };
    return {std::count_if(operands_.begin(), operands_.end(), is_copied) +
            std::count_if(results_.begin(), results_.end(), is_copied)};
  }
  void run(const RunContext& run) override {
    for (size_t i = 0; i < operands_.size(); ++i)
      context().copy_to_host(operands_[i].data(), input(i), static_cast<int64_t>(operands_[i].size() * sizeof(float)));
    op_->run(from_, to_, run.pass);
    for (size_t i = 0; i < results_.size(); ++i)
      context().copy_to_device(output(i), results_[i].data(), static_cast<int64_t>(results_[i].size() * sizeof(float)));
  }

 private:
  std::shared_ptr<const OpaqueOp> op_;
  std::vector<std::vector<float>> operands_, results_;
  std::vector<const float*> from_;
  std::vector<float*> to_;
};

std::string refuse(Context&, const OpInstance&) { return ""; }

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<HostOp>(context, instance);
}

}  // namespace

const Implementation host_opaque{"host", refuse, create};

}  // namespace trainer::cuda
