// A map that a kernel runs before or behind its own work, on what it reads or makes.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "device/cuda/implementations.h"

namespace trainer::cuda {

class MapStep {
 public:
  // A map that needs no workspace.
  MapStep(Context& context, MapBody body, std::vector<TensorDesc> inputs, const TensorDesc& output) {
    op_.kind = OpKind::kMap;
    op_.attributes = std::move(body);
    kernel_ = create_map(context, {&op_, std::move(inputs), {output}});
    TRAINER_ASSERT(kernel_->workspace_bytes() == 0);
  }
  MapStep(const MapStep&) = delete;
  MapStep& operator=(const MapStep&) = delete;

  void bind(std::span<void* const> inputs, void* output) { kernel_->bind(inputs, {&output, 1}, nullptr); }
  void run(const RunContext& run) { kernel_->run(run); }
  // `between`: the tensor that one of the map and the kernel beside it writes, and the other reads.
  KernelCost cost(const TensorDesc& between) const {
    KernelCost cost = kernel_->cost();
    cost.bytes += 2 * between.bytes();
    return cost;
  }

 private:
  Op op_;
  std::unique_ptr<Kernel> kernel_;
};

// What an epilogue makes of a result, the first operand; of a second one, a bias, it adds an element to each.
inline MapBody body_of(const Epilogue& epilogue, const Shape& result, bool has_bias) {
  MapBody body{result, {{Fn::kInput, 0}}, {}, {}, {}};
  if (has_bias) body.nodes.insert(body.nodes.end(), {{Fn::kInput, 1}, {Fn::kAdd, 0, 1}});
  int last = static_cast<int>(body.nodes.size()) - 1;
  if (epilogue.relu) body.nodes.push_back({Fn::kRelu, last++, -1, -1, epilogue.slope});
  body.outputs.push_back({last, Reduction::kNone, {}});
  return body;
}

}  // namespace trainer::cuda
