// The parts that the arguments of several kernels share: element types, epilogues and the grid of thread blocks.
//
// Each kernel has three files: x.cu (device code and its launch), x.h (its arguments, the grid and the declaration of
// the launch) and x.cc (refuses or creates a kernel for an op). nvcc reads the headers: they are plain data and include
// no header of the program with code.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "runtime/window_geometry.h"

namespace trainer {
struct OpInstance;
}

namespace trainer::cuda {

struct Addresses;

// The element types that kernels read, with the numbers of trainer::DType. Kernels write f32, bf16 and f16.
enum class ElementType : uint8_t { kF32, kBF16, kF16, kS32, kU8 };

// Applied to a sum before it is stored: x > 0 is kept; everything else, NaN included, is multiplied by `slope`.
struct ReluEpilogue {
  bool relu = false;
  float slope = 0;
};

constexpr int64_t count_of(const int64_t (&extents)[3]) { return extents[0] * extents[1] * extents[2]; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A divisor that is known at launch. divide() in elements.h multiplies and shifts; it takes dividends below 2^31.
struct Divisor {
  uint32_t value = 1, multiplier = 1, shift = 0;
};
constexpr Divisor divisor_of(int64_t value) {
  Divisor d;
  d.value = static_cast<uint32_t>(value);
  while ((int64_t{1} << d.shift) < value) ++d.shift;
  d.multiplier = static_cast<uint32_t>((((uint64_t{1} << d.shift) - d.value) << 32) / d.value + 1);
  return d;
}

// Thread blocks of x * y threads. Kernels use grid-stride loops: the result does not depend on the number of blocks.
struct Grid {
  int64_t blocks = 0;
  int x = 1, y = 1;
};

constexpr int kBlockThreads = 256;
// About a dozen waves of blocks on the largest GPUs.
constexpr int64_t kMaxBlocks = 1 << 14;

constexpr Grid grid_of(int64_t blocks, int x, int y = 1) { return {blocks < kMaxBlocks ? blocks : kMaxBlocks, x, y}; }
// One thread per element.
constexpr Grid grid_of_elements(int64_t count) { return grid_of(ceil_div(count, kBlockThreads), kBlockThreads); }

}  // namespace trainer::cuda
