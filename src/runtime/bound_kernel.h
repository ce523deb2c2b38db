// A kernel that runs on the addresses of its last bind, and one that does nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/device.h"

namespace trainer {

class BoundKernel : public Kernel {
 public:
  explicit BoundKernel(const OpInstance& instance)
      : inputs_(instance.inputs.size()), outputs_(instance.outputs.size()) {}

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    for (size_t i = 0; i < inputs_.size(); ++i) inputs_[i] = inputs[i];
    for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i] = outputs[i];
    workspace_ = static_cast<std::byte*>(workspace);
  }

 protected:
  template <typename T = float>
  const T* input(size_t i) const {
    return static_cast<const T*>(inputs_[i]);
  }
  // nullptr if the op has no i-th input.
  const float* optional_input(size_t i) const { return i < inputs_.size() ? input(i) : nullptr; }
  template <typename T = float>
  T* output(size_t i) const {
    return static_cast<T*>(outputs_[i]);
  }
  std::byte* workspace() const { return workspace_; }
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return outputs_.size(); }

 private:
  std::vector<void*> inputs_, outputs_;
  std::byte* workspace_ = nullptr;
};

// The kernel of a step that an earlier step's kernel computes.
class EmptyKernel : public Kernel {
 public:
  void bind(std::span<void* const>, std::span<void* const>, void*) override {}
  void run(const RunContext&) override {}
  KernelCost cost() const override { return {0, 0}; }
};

}  // namespace trainer
