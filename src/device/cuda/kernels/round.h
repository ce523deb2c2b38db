// Rounds floats to bf16, and makes them floats again, for exchanges between processes.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

struct RoundArguments {
  const void* from = nullptr;
  void* to = nullptr;
  int64_t count = 0;
};

// From f32 to bf16, and back.
cudaError_t launch_round(const RoundArguments& arguments, cudaStream_t stream);
cudaError_t launch_widen(const RoundArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
