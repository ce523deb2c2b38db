// Results of NVIDIA's functions as errors.
#pragma once

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "base/error.h"

namespace trainer::cuda {

// Throws a device_error that says on which GPU what was being done, where it failed.
template <typename... Args>
void check_on(int ordinal, cudaError_t result, fmt::format_string<Args...> doing, Args&&... args) {
  if (result == cudaSuccess) return;
  throw device_error("GPU {}, {}: {} ({})", ordinal, fmt::format(doing, std::forward<Args>(args)...), cudaGetErrorString(result),
                     cudaGetErrorName(result));
}

// On the calling thread's GPU.
template <typename... Args>
void check(cudaError_t result, fmt::format_string<Args...> doing, Args&&... args) {
  if (result == cudaSuccess) return;
  int ordinal = 0;
  cudaGetDevice(&ordinal);
  check_on(ordinal, result, doing, std::forward<Args>(args)...);
}

}  // namespace trainer::cuda
