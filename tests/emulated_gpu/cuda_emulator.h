// Makes CUDA C compile as C++: included before generated kernels, which include nothing, and before .cu files. With
// EMULATED_RUNTIME, launches go to the streams of the emulated runtime.
#pragma once

// The check of longjmp() rejects stacks other than the thread's.
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

// NOLINTBEGIN(bugprone-reserved-identifier): the names are those of CUDA.
#define __device__
#define __global__
#define __shared__ static
#define __grid_constant__
#define __launch_bounds__(...)
#define blockIdx (emulated.block)
#define blockDim (emulated.block_size)
#define gridDim (emulated.grid_size)
#define threadIdx (emulated.thread)
#define EMULATED_EXPORT __attribute__((visibility("default")))

struct EmulatedIndex {
  unsigned x = 0, y = 0, z = 0;
};
// The indices of the running thread.
struct EmulatedThread {
  EmulatedIndex thread, block, block_size, grid_size;
};
extern EMULATED_EXPORT EmulatedThread emulated;

// A kernel with one argument, without the types.
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

// Runs a kernel with blocks of x * y threads.
EMULATED_EXPORT void emulate(const EmulatedKernel& kernel, const void* argument, unsigned blocks, unsigned x,
                             unsigned y);
EMULATED_EXPORT void emulated_barrier();
EMULATED_EXPORT double emulated_shuffle(double value, unsigned lane);

inline void __syncthreads() { emulated_barrier(); }
inline void __threadfence() {}
inline unsigned atomicAdd(unsigned* to, unsigned value) {
  const unsigned before = *to;
  *to += value;
  return before;
}
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
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
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
#endif
// NOLINTEND(bugprone-reserved-identifier)
