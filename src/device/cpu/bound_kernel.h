// What most CPU kernels share: bind stores the addresses that run reads.
#pragma once

#include <omp.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
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

// Why a kernel of floats alone cannot take it; or "".
inline std::string refuse_bf16(const OpInstance& instance) {
  for (const auto* descs : {&instance.inputs, &instance.outputs}) {
    for (const TensorDesc& desc : *descs) {
      if (desc.dtype == DType::kBF16) return "a tensor is bf16";
    }
  }
  return "";
}

constexpr int64_t kAlignment = 64;
constexpr int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Whether a result of so many elements is better written around the caches: what is large has left them before it is
// read, and its lines need not be read to be written. Measured with 32 MiB of last-level cache.
template <typename T>
bool leaves_caches(const T* result, int64_t count) {
  constexpr int64_t kLargeBytes = 16 << 20;
  return count * static_cast<int64_t>(sizeof(T)) >= kLargeBytes &&
         reinterpret_cast<uintptr_t>(result) % kAlignment == 0;
}

}  // namespace trainer::cpu
