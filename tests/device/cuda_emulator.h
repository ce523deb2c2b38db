// Runs CUDA C on the host. A thread of a block is a fiber; at a barrier or a shuffle it hands over to the next one, so
// that all of them come to it before any goes on. Included before the text of kernels that use no headers.
#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define __device__
#define __global__
#define __shared__ static
#define __grid_constant__
#define __launch_bounds__(threads)
#define blockIdx (emulator().block)
#define blockDim (emulator().block_size)
#define gridDim (emulator().grid_size)
#define threadIdx (emulator().fibers[emulator().current].index)

struct Dim {
  int x = 0, y = 0, z = 0;
};

struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  Dim index;
  bool done = false;
  float shuffled = 0;
};

struct Emulator {
  Dim block, block_size, grid_size;
  std::vector<Fiber> fibers;
  size_t current = 0;
  ucontext_t scheduler;
  void (*kernel)(const void*) = nullptr;
  const void* arguments = nullptr;

  void hand_over() { swapcontext(&fibers[current].context, &scheduler); }
};
inline Emulator& emulator() {
  static Emulator instance;
  return instance;
}

inline void __syncthreads() {
  Emulator& e = emulator();
  for (const Fiber& fiber : e.fibers) {
    if (!fiber.done) continue;
    std::fputs("a barrier that not all threads of the block come to\n", stderr);
    std::abort();
  }
  e.hand_over();
}
inline float __shfl_xor_sync(unsigned, float value, int lane) {
  Emulator& e = emulator();
  const size_t self = e.current;
  e.fibers[self].shuffled = value;
  e.hand_over();
  const float result = e.fibers[self ^ static_cast<size_t>(lane)].shuffled;
  e.hand_over();
  return result;
}

inline float __uint_as_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float half_to_float(unsigned short bits) {
  _Float16 x;
  std::memcpy(&x, &bits, sizeof x);
  return static_cast<float>(x);
}
inline unsigned short float_to_half(float x) {
  const _Float16 half = static_cast<_Float16>(x);
  unsigned short bits;
  std::memcpy(&bits, &half, sizeof bits);
  return bits;
}

inline void run_fiber() {
  Emulator& e = emulator();
  e.kernel(e.arguments);
  e.fibers[e.current].done = true;
  e.hand_over();
}

// Runs a kernel whose one argument, already a struct in memory, `kernel` passes on.
inline void emulate(void (*kernel)(const void*), const void* arguments, int blocks, int x, int y) {
  Emulator& e = emulator();
  e.kernel = kernel;
  e.arguments = arguments;
  e.block_size = {x, y, 1};
  e.grid_size = {blocks, 1, 1};
  e.fibers.resize(static_cast<size_t>(x * y));
  for (int block = 0; block < blocks; ++block) {
    e.block = {block, 0, 0};
    for (size_t i = 0; i < e.fibers.size(); ++i) {
      Fiber& fiber = e.fibers[i];
      fiber.index = {static_cast<int>(i) % x, static_cast<int>(i) / x, 0};
      fiber.done = false;
      fiber.stack.resize(64 << 10);
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.data();
      fiber.context.uc_stack.ss_size = fiber.stack.size();
      fiber.context.uc_link = nullptr;
      makecontext(&fiber.context, run_fiber, 0);
    }
    for (bool left = true; left;) {
      left = false;
      for (e.current = 0; e.current < e.fibers.size(); ++e.current) {
        if (e.fibers[e.current].done) continue;
        swapcontext(&e.scheduler, &e.fibers[e.current].context);
        left = left || !e.fibers[e.current].done;
      }
    }
  }
}
