// Turns results of CUDA functions into errors. The runtime keeps the last error of each thread until it is read, so
// code that handles a failure also clears it; otherwise a later call reports it.
#pragma once

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "base/error.h"

namespace trainer::cuda {

// For failures that the caller handles: whether the call succeeded. Clears the error.
inline bool succeeds(cudaError_t result) {
  if (result != cudaSuccess) cudaGetLastError();
  return result == cudaSuccess;
}

// For calls whose failure does not matter, such as those of destructors after an error.
inline void ignore_result(cudaError_t result) { succeeds(result); }

// Throws a device_error that names the GPU and the activity, and clears the error.
template <typename... Args>
void check_on(int ordinal, cudaError_t result, fmt::format_string<Args...> doing, Args&&... args) {
  if (succeeds(result)) return;
  throw device_error("GPU {}, {}: {} ({})", ordinal, fmt::format(doing, std::forward<Args>(args)...),
                     cudaGetErrorString(result), cudaGetErrorName(result));
}

// For the current GPU of the calling thread.
template <typename... Args>
void check(cudaError_t result, fmt::format_string<Args...> doing, Args&&... args) {
  if (result == cudaSuccess) return;
  int ordinal = 0;
  ignore_result(cudaGetDevice(&ordinal));
  check_on(ordinal, result, doing, std::forward<Args>(args)...);
}

}  // namespace trainer::cuda
