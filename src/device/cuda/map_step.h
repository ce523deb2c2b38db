// A map that is part of a kernel: it runs before or after the call of a library.
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
    kernel_ = generated_map.create(context, {&op_, std::move(inputs), {output}});
    TRAINER_ASSERT(kernel_->workspace_bytes() == 0);
  }
  MapStep(const MapStep&) = delete;
  MapStep& operator=(const MapStep&) = delete;

  void bind(std::span<void* const> inputs, void* output) { kernel_->bind(inputs, {&output, 1}, nullptr); }
  void run(const RunContext& run) { kernel_->run(run); }
  // `between`: the tensor between the map and the call; one writes it and the other reads it.
  KernelCost cost(const TensorDesc& between) const {
    KernelCost cost = kernel_->cost();
    cost.bytes += 2 * between.bytes();
    return cost;
  }

 private:
  Op op_;
  std::unique_ptr<Kernel> kernel_;
};

// An epilogue as a map of the result (operand 0) and, with `has_bias`, of a bias that broadcasts to it (operand 1).
inline MapBody epilogue_map(const Epilogue& epilogue, const Shape& result, bool has_bias) {
  MapBody body{result, {{Fn::kInput, 0}}, {}, {}, {}};
  if (has_bias) body.nodes.insert(body.nodes.end(), {{Fn::kInput, 1}, {Fn::kAdd, 0, 1}});
  int last = static_cast<int>(body.nodes.size()) - 1;
  if (epilogue.relu) body.nodes.push_back({Fn::kRelu, last++, -1, -1, epilogue.slope});
  body.outputs.push_back({last, Reduction::kNone, {}});
  return body;
}

}  // namespace trainer::cuda
