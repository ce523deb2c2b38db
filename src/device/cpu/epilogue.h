// Adds a bias and applies relu to the result of a matrix product or convolution, where the library does
// neither.
#pragma once

#include <cstdint>

#include "ops/graph.h"
#include "tensor/bf16.h"

namespace trainer::cpu {

// Rows of `columns` values, one bias per column; `bias` may be null. Does nothing where there is nothing to
// do. T: float or Bf16.
template <typename T>
void finish_rows(int threads, int64_t rows, int64_t columns, const float* bias, const Epilogue& epilogue, T* y);
extern template void finish_rows(int, int64_t, int64_t, const float*, const Epilogue&, float*);
extern template void finish_rows(int, int64_t, int64_t, const float*, const Epilogue&, Bf16*);

// `planes` of `count` values, one bias per plane: row-major images, plane index taken modulo `channels`.
void finish_planes(int threads, int64_t planes, int64_t channels, int64_t count, const float* bias,
                   const Epilogue& epilogue, float* y);

}  // namespace trainer::cpu
