// Adds a bias and applies relu to the result of a matrix product or convolution, where the library does
// neither.
#pragma once

#include <cstdint>

#include "ops/graph.h"

namespace trainer::cpu {

// Rows of `columns` values, one bias per column; `bias` may be null. Does nothing where there is nothing to
// do.
void finish_rows(int threads, int64_t rows, int64_t columns, const float* bias, const Epilogue& epilogue,
                 float* y);

// `planes` of `count` values, one bias per plane: row-major images, plane index taken modulo `channels`.
void finish_planes(int threads, int64_t planes, int64_t channels, int64_t count, const float* bias,
                   const Epilogue& epilogue, float* y);

}  // namespace trainer::cpu
