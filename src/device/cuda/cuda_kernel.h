// The base class of the GPU's kernels.
#pragma once

#include <cstdint>

#include "base/align.h"
#include "device/cuda/context.h"
#include "runtime/bound_kernel.h"

namespace trainer::cuda {

class CudaKernel : public BoundKernel {
 public:
  CudaKernel(Context& context, const OpInstance& instance) : BoundKernel(instance), context_(context) {}

 protected:
  Context& context() const { return context_; }

 private:
  Context& context_;
};

struct MemoryRange {
  const void* at = nullptr;
  int64_t bytes = 0;
};
inline bool overlap(const MemoryRange& a, const MemoryRange& b) {
  const char *const first = static_cast<const char*>(a.at), *const second = static_cast<const char*>(b.at);
  return first < second + b.bytes && second < first + a.bytes;
}

constexpr int64_t kAlignment = 256;
constexpr int64_t aligned(int64_t bytes) { return align_up(bytes, kAlignment); }

}  // namespace trainer::cuda
