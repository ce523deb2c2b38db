// What the arguments of several kernels share: element types, epilogues, and the grid of blocks.
//
// Plain data without headers of the program, so that nvcc reads little. The kernels' families are copy.h, pool.h,
// lrn.h, matmul.h, convolution.h, recurrence.h and interpreter.h; launch.h starts them.
#pragma once

#include <cstdint>

#include "runtime/window_geometry.h"

namespace trainer::cuda {

// The element types of what kernels read, numbered as trainer::DType is; they write floats of 32 and 16 bits.
enum class ElementType : uint8_t { kF32, kBF16, kF16, kS32, kU8 };

// What is done to a sum before it is stored: x > 0 stays, all else (a NaN too) is multiplied by the slope.
struct ReluEpilogue {
  bool relu = false;
  float slope = 0;
};

constexpr int64_t count_of(const int64_t (&extents)[3]) { return extents[0] * extents[1] * extents[2]; }
constexpr int64_t ceiling_of(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Blocks of x * y threads. Kernels walk their work in strides of the grid: any number of blocks computes the same.
struct Grid {
  int64_t blocks = 0;
  int x = 1, y = 1;
};

constexpr int kBlockThreads = 256;
// Enough for every multiprocessor of the largest devices to be given new blocks a dozen times.
constexpr int64_t kMostBlocks = 1 << 14;

constexpr Grid grid_of(int64_t blocks, int x, int y = 1) { return {blocks < kMostBlocks ? blocks : kMostBlocks, x, y}; }
// A thread for each element.
constexpr Grid grid_of_elements(int64_t count) { return grid_of(ceiling_of(count, kBlockThreads), kBlockThreads); }

}  // namespace trainer::cuda
