// Results of NVIDIA's functions as errors.
#pragma once

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "base/error.h"

namespace trainer::cuda {

// Throws a device_error that says what was being done, where it failed.
template <typename... Args>
void check(cudaError_t result, fmt::format_string<Args...> doing, Args&&... args) {
  if (result == cudaSuccess) return;
  throw device_error("{}: {} ({})", fmt::format(doing, std::forward<Args>(args)...), cudaGetErrorString(result),
                     cudaGetErrorName(result));
}

}  // namespace trainer::cuda
