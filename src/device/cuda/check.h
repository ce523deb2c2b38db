// Results of CUDA's functions as errors. The runtime also keeps each thread's last error until it is read: whoever
// handles a failure clears it, so that no later call reports it.
#pragma once

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "base/error.h"

namespace trainer::cuda {

// For a failure that the caller handles: whether the call succeeded, its error cleared otherwise.
inline bool succeeds(cudaError_t result) {
  if (result != cudaSuccess) cudaGetLastError();
  return result == cudaSuccess;
}

// For calls whose failure changes nothing, as in destructors after an error.
inline void ignore_result(cudaError_t result) { succeeds(result); }

// Throws a device_error that names the GPU and what was being done, the error cleared.
template <typename... Args>
void check_on(int ordinal, cudaError_t result, fmt::format_string<Args...> doing, Args&&... args) {
  if (succeeds(result)) return;
  throw device_error("GPU {}, {}: {} ({})", ordinal, fmt::format(doing, std::forward<Args>(args)...),
                     cudaGetErrorString(result), cudaGetErrorName(result));
}

// On the calling thread's GPU.
template <typename... Args>
void check(cudaError_t result, fmt::format_string<Args...> doing, Args&&... args) {
  if (result == cudaSuccess) return;
  int ordinal = 0;
  ignore_result(cudaGetDevice(&ordinal));
  check_on(ordinal, result, doing, std::forward<Args>(args)...);
}

}  // namespace trainer::cuda
