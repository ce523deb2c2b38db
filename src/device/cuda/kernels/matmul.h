// kMatmul.
#pragma once

#include "device/cuda/kernels/product_grid.h"

namespace trainer::cuda {

// y = epilogue(a b + bias) for `batch` products of dense row-major matrices: a [B,M,K] (transposed: [B,K,M]),
// b [B,K,N] (transposed: [B,N,K]), bias [N] or null, y [B,M,N]. Element types may differ; sums are f32.
struct MatmulArguments {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  ReluEpilogue epilogue;
  const void* a = nullptr;
  const void* b = nullptr;
  const float* bias = nullptr;
  void* y = nullptr;
  ElementType a_type = ElementType::kF32, b_type = ElementType::kF32, y_type = ElementType::kF32;
};

inline Grid grid_of_matmul(const MatmulArguments& a) { return grid_of_product(a.batch, a.m, a.n); }

MatmulArguments matmul_arguments(const OpInstance& instance, const Addresses& at);

cudaError_t launch_matmul(const MatmulArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
