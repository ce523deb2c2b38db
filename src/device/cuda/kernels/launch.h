// Launches a kernel whose only argument is a struct.
//
// The emulator of the tests has a header of the same name, which its include path finds first.
#pragma once

#include <cuda_runtime_api.h>

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

template <typename Arguments>
cudaError_t launch_kernel(void (*kernel)(Arguments), const Grid& grid, const Arguments& arguments,
                          cudaStream_t stream) {
  if (grid.blocks == 0) return cudaSuccess;
  const dim3 threads(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y));
  void* list[] = {const_cast<Arguments*>(&arguments)};
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(static_cast<unsigned>(grid.blocks)), threads,
                          list, 0, stream);
}

}  // namespace trainer::cuda
