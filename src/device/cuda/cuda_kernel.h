// The base class of the GPU's kernels.
#pragma once

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

constexpr int64_t kAlignment = 256;
constexpr int64_t aligned(int64_t bytes) { return align_up(bytes, kAlignment); }

}  // namespace trainer::cuda
