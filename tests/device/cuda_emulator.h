// Runs CUDA C on the host. A thread of a block is a fiber; at a barrier or a shuffle it hands over to the next one, so
// that all of them come to it before any goes on. Every other block runs its threads from the last to the first: where a
// barrier is missing, one of the two sequences shows it. Included before the text of kernels that use no headers, and
// before files of kernels, whose launches it runs at once.
#pragma once

// Its check of jumps does not know stacks other than the thread's.
#undef _FORTIFY_SOURCE

#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define CUDA_EMULATOR
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
  ucontext_t start;
  jmp_buf resumption;
  bool started = false;
  std::vector<char> stack;
  Dim index;
  bool done = false;
  float shuffled = 0;
};

struct Emulator {
  Dim block, block_size, grid_size;
  std::vector<Fiber> fibers;
  size_t current = 0;
  jmp_buf scheduler;
  void (*kernel)(const void*) = nullptr;
  const void* arguments = nullptr;

  // Jumps leave signals alone, which swapcontext asks the kernel about each time.
  __attribute__((noinline)) void hand_over() {
    if (_setjmp(fibers[current].resumption) == 0) _longjmp(scheduler, 1);
  }
  // Runs the current fiber until it hands over.
  __attribute__((noinline)) void resume() {
    Fiber& fiber = fibers[current];
    if (_setjmp(scheduler) != 0) return;
    if (fiber.started) _longjmp(fiber.resumption, 1);
    fiber.started = true;
    setcontext(&fiber.start);
  }
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
      fiber.started = fiber.done = false;
      fiber.stack.resize(64 << 10);
      getcontext(&fiber.start);
      fiber.start.uc_stack.ss_sp = fiber.stack.data();
      fiber.start.uc_stack.ss_size = fiber.stack.size();
      fiber.start.uc_link = nullptr;
      makecontext(&fiber.start, run_fiber, 0);
    }
    for (bool left = true; left;) {
      left = false;
      for (size_t i = 0; i < e.fibers.size(); ++i) {
        e.current = block % 2 == 0 ? i : e.fibers.size() - 1 - i;
        if (e.fibers[e.current].done) continue;
        e.resume();
        left = left || !e.fibers[e.current].done;
      }
    }
  }
}

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess, cudaErrorInvalidValue };

// Blocks that a launch runs at most: kernels whose work is more must walk it in strides of the grid.
constexpr int kMostEmulatedBlocks = 3;

template <typename Grid, typename Arguments>
cudaError_t launch_kernel(void (*kernel)(Arguments), const Grid& grid, const Arguments& arguments, cudaStream_t) {
  struct Call {
    void (*kernel)(Arguments);
    const Arguments* arguments;
  } call{kernel, &arguments};
  const int blocks = grid.blocks < kMostEmulatedBlocks ? static_cast<int>(grid.blocks) : kMostEmulatedBlocks;
  const auto run = [](const void* at) {
    const Call& call = *static_cast<const Call*>(at);
    call.kernel(*call.arguments);
  };
  emulate(run, &call, blocks, grid.x, grid.y);
  return cudaSuccess;
}
