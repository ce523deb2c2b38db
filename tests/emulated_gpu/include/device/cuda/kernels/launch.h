// Launches a kernel on the emulator. The include path finds this header before the product's header of the same name.
#pragma once

#include <cuda_runtime_api.h>

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

template <typename Arguments>
cudaError_t launch_emulated(const char* name, void (*kernel)(Arguments), const Grid& grid, const Arguments& arguments,
                            [[maybe_unused]] cudaStream_t stream) {
  if (grid.blocks == 0) return cudaSuccess;
  const EmulatedKernel emulated = emulated_kernel(name, kernel);
  const unsigned blocks = static_cast<unsigned>(grid.blocks), x = static_cast<unsigned>(grid.x),
                 y = static_cast<unsigned>(grid.y);
#ifdef EMULATED_RUNTIME
  return emulated_launch(emulated, &arguments, blocks, x, y, stream);
#else
  emulate(emulated, &arguments, blocks, x, y);
  return cudaSuccess;
#endif
}

#define launch_kernel(...) launch_emulated(#__VA_ARGS__, __VA_ARGS__)

}  // namespace trainer::cuda
