// What most CPU kernels share: bind stores the addresses that run reads.
#pragma once

#include <omp.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/device.h"

namespace trainer::cpu {

class BoundKernel : public Kernel {
 public:
  explicit BoundKernel(const OpInstance& instance)
      : threads_(omp_get_max_threads()), inputs_(instance.inputs.size()), outputs_(instance.outputs.size()) {}

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
  // nullptr where the op has no i-th input.
  const float* optional_input(size_t i) const { return i < inputs_.size() ? input(i) : nullptr; }
  template <typename T = float>
  T* output(size_t i) const {
    return static_cast<T*>(outputs_[i]);
  }
  std::byte* workspace() const { return workspace_; }
  int threads() const { return threads_; }
  size_t input_count() const { return inputs_.size(); }

 private:
  int threads_;
  std::vector<void*> inputs_, outputs_;
  std::byte* workspace_ = nullptr;
};

// Whether the bytes of `desc` are those of `order`: by its attribute, or because both orders coincide.
inline bool lies_in(const TensorDesc& desc, Order order) {
  return desc.order == order || orders_coincide(desc.shape);
}

constexpr int64_t kAlignment = 64;
constexpr int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Whether a result of so many floats is better written around the caches: what is large has left them before it is read,
// and its lines need not be read to be written. Measured with 32 MiB of last-level cache.
inline bool leaves_caches(const float* result, int64_t floats) {
  constexpr int64_t kLargeBytes = 16 << 20;
  return floats * static_cast<int64_t>(sizeof(float)) >= kLargeBytes && reinterpret_cast<uintptr_t>(result) % kAlignment == 0;
}

}  // namespace trainer::cpu
