// The base class of the CPU's kernels, and what several of them use.
#pragma once

#include <omp.h>

#include <cstdint>
#include <string>

#include "base/align.h"
#include "runtime/bound_kernel.h"

namespace trainer::cpu {

class CpuKernel : public BoundKernel {
 public:
  using BoundKernel::BoundKernel;

 protected:
  int threads() const { return threads_; }

 private:
  int threads_ = omp_get_max_threads();
};

// Why a kernel that computes with f32 tensors only cannot run the op, or "".
inline std::string refuse_bf16(const OpInstance& instance) {
  for (const auto* descs : {&instance.inputs, &instance.outputs}) {
    for (const TensorDesc& desc : *descs) {
      if (desc.dtype == DType::kBF16) return "a tensor is bf16";
    }
  }
  return "";
}

constexpr int64_t kAlignment = 64;
constexpr int64_t aligned(int64_t bytes) { return align_up(bytes, kAlignment); }

// Whether non-temporal stores are faster for a result of `count` elements. A large result leaves the caches before it
// is read, and non-temporal stores do not read its cache lines. Measured with 32 MiB of last-level cache.
template <typename T>
bool leaves_caches(const T* result, int64_t count) {
  constexpr int64_t kLargeBytes = 16 << 20;
  return count * static_cast<int64_t>(sizeof(T)) >= kLargeBytes &&
         reinterpret_cast<uintptr_t>(result) % kAlignment == 0;
}

}  // namespace trainer::cpu
