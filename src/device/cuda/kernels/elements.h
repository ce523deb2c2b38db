// Elements in device code: loads and stores with a type that is known at run time, grid-stride loops and tensor
// indices.
//
// Offsets are 64-bit, except in kernels that use Divisor. If both operands of a division fit in 32 bits, nvcc's code
// divides in 32 bits.
#pragma once

#include "device/cuda/kernels/arguments.h"
#include "device/cuda/preludes/numbers.h"

namespace trainer::cuda {

// Element `at` of an array of `type`.
__device__ inline float load(const void* from, ElementType type, int64_t at) {
  switch (type) {
    case ElementType::kBF16: return to_float(static_cast<const Bf16*>(from)[at]);
    case ElementType::kF16: return to_float(static_cast<const F16*>(from)[at]);
    case ElementType::kS32: return to_float(static_cast<const int*>(from)[at]);
    case ElementType::kU8: return to_float(static_cast<const unsigned char*>(from)[at]);
    default: return static_cast<const float*>(from)[at];
  }
}
__device__ inline void store(void* to, ElementType type, int64_t at, float x) {
  switch (type) {
    case ElementType::kBF16: return put(static_cast<Bf16*>(to) + at, x);
    case ElementType::kF16: return put(static_cast<F16*>(to) + at, x);
    default: return put(static_cast<float*>(to) + at, x);
  }
}

__device__ inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
__device__ inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

// n / d for n < 2^31.
__device__ inline uint32_t divide(uint32_t n, const Divisor& d) {
  return (static_cast<uint32_t>((uint64_t{d.multiplier} * n) >> 32) + n) >> d.shift;
}
// Returns n % d and replaces n by n / d.
__device__ inline uint32_t take_remainder(uint32_t* n, const Divisor& d) {
  const uint32_t quotient = divide(*n, d), remainder = *n - quotient * d.value;
  *n = quotient;
  return remainder;
}

__device__ inline float with_epilogue(const ReluEpilogue& epilogue, float x) {
  return epilogue.relu && !(x > 0) ? epilogue.slope * x + 0.0f : x;  // not -0
}

// The grid-stride loop over elements: for (int64_t i = first_element(); i < count; i += grid_stride()).
__device__ inline int64_t first_element() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t grid_stride() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// An index on the three spatial axes.
struct Spatial {
  int64_t at[3];
};
__device__ inline Spatial spatial_of(int64_t index, const int64_t (&extents)[3]) {
  Spatial s;
  s.at[2] = index % extents[2];
  index /= extents[2];
  s.at[1] = index % extents[1];
  s.at[0] = index / extents[1];
  return s;
}
__device__ inline int64_t offset_of(const Strides& strides, int64_t n, int64_t c, const Spatial& s) {
  return n * strides.n + c * strides.c + s.at[0] * strides.spatial[0] + s.at[1] * strides.spatial[1] +
         s.at[2] * strides.spatial[2];
}

// An index into a tensor [N,C,extents].
struct TensorIndex {
  int64_t n, c;
  Spatial spatial;
};
__device__ inline int64_t offset_of(const Strides& strides, const TensorIndex& p) {
  return offset_of(strides, p.n, p.c, p.spatial);
}

__device__ inline int64_t volume_of(const int64_t (&extents)[3]) { return extents[0] * extents[1] * extents[2]; }

// The index of the i-th element of a tensor [N,C,extents] in memory order, so that neighboring threads access
// neighboring elements. `strides` tells channels-last from row-major.
__device__ inline TensorIndex index_of(int64_t i, int64_t channels, const int64_t (&extents)[3],
                                       const Strides& strides) {
  const int64_t area = volume_of(extents);
  TensorIndex p;
  if (strides.c == 1) {
    p.c = i % channels;
    i /= channels;
    p.spatial = spatial_of(i % area, extents);
    p.n = i / area;
  } else {
    p.spatial = spatial_of(i % area, extents);
    i /= area;
    p.c = i % channels;
    p.n = i / channels;
  }
  return p;
}

}  // namespace trainer::cuda
