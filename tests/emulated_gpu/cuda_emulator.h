// Lets the host's compiler take CUDA C: included before the text of kernels that use no headers, and before files of
// kernels. Alone it runs launches at once; with EMULATED_RUNTIME they go to the streams of the emulated runtime.
#pragma once

// Its check of jumps does not know stacks other than the thread's.
#undef _FORTIFY_SOURCE

#include <math.h>
#include <stddef.h>
#include <string.h>

#ifdef EMULATED_RUNTIME
#include <cuda_runtime_api.h>
#undef __device__
#undef __global__
#undef __shared__
#undef __grid_constant__
#undef __launch_bounds__
#endif

#define CUDA_EMULATOR
#define __device__
#define __global__
#define __shared__ static
#define __grid_constant__
#define __launch_bounds__(threads)
#define blockIdx (emulated.block)
#define blockDim (emulated.block_size)
#define gridDim (emulated.grid_size)
#define threadIdx (emulated.thread)
#define EMULATED_EXPORT __attribute__((visibility("default")))

struct EmulatedIndex {
  unsigned x = 0, y = 0, z = 0;
};
// Where the running thread is.
struct EmulatedPlace {
  EmulatedIndex thread, block, block_size, grid_size;
};
extern EMULATED_EXPORT EmulatedPlace emulated;

// A kernel of one argument, its type forgotten.
struct EmulatedKernel {
  const char* name;
  void (*function)();
  void (*call)(void (*function)(), const void* argument);
  size_t argument_bytes;
};
template <typename Argument>
EmulatedKernel emulated_kernel(const char* name, void (*kernel)(Argument)) {
  const auto call = [](void (*function)(), const void* argument) {
    reinterpret_cast<void (*)(Argument)>(function)(*static_cast<const Argument*>(argument));
  };
  return {name, reinterpret_cast<void (*)()>(kernel), call, sizeof(Argument)};
}

// Runs a kernel in blocks of x * y threads, in cuda_emulator.cc.
EMULATED_EXPORT void emulate(const EmulatedKernel& kernel, const void* argument, unsigned blocks, unsigned x,
                             unsigned y);
EMULATED_EXPORT void emulated_barrier();
EMULATED_EXPORT double emulated_shuffle(double value, unsigned lane);

inline void __syncthreads() { emulated_barrier(); }
template <typename T>
T __shfl_xor_sync(unsigned, T value, int lane) {
  return static_cast<T>(emulated_shuffle(value, static_cast<unsigned>(lane)));  // of a float or double
}

inline float __uint_as_float(unsigned bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float half_to_float(unsigned short bits) {
  _Float16 x;
  memcpy(&x, &bits, sizeof x);
  return static_cast<float>(x);
}
inline unsigned short float_to_half(float x) {
  const _Float16 half = static_cast<_Float16>(x);
  unsigned short bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}

#ifdef EMULATED_RUNTIME
extern "C" EMULATED_EXPORT cudaError_t emulated_launch(const EmulatedKernel& kernel, const void* argument,
                                                       unsigned blocks, unsigned x, unsigned y, cudaStream_t stream);
#else
using cudaStream_t = void*;
enum cudaError_t { cudaSuccess, cudaErrorInvalidValue };
inline cudaError_t emulated_launch(const EmulatedKernel& kernel, const void* argument, unsigned blocks, unsigned x,
                                   unsigned y, cudaStream_t) {
  emulate(kernel, argument, blocks, x, y);
  return cudaSuccess;
}
#endif

// As kernels/launch.h has it for nvcc.
template <typename Grid, typename Argument>
cudaError_t emulated_launch_kernel(const char* name, void (*kernel)(Argument), const Grid& grid,
                                   const Argument& argument, cudaStream_t stream) {
  if (grid.blocks == 0) return cudaSuccess;
  return emulated_launch(emulated_kernel(name, kernel), &argument, static_cast<unsigned>(grid.blocks),
                         static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), stream);
}
#define launch_kernel(...) emulated_launch_kernel(#__VA_ARGS__, __VA_ARGS__)
