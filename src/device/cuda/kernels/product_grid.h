// The tiles of matrix products and convolutions, and their grid.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

constexpr int kProductTile = 64;   // rows and columns of a tile
constexpr int kProductDepth = 16;  // depth of the slices in shared memory

constexpr int64_t tiles_of_product(int64_t rows, int64_t columns) {
  return ceil_div(rows, kProductTile) * ceil_div(columns, kProductTile);
}
constexpr Grid grid_of_product(int64_t batches, int64_t rows, int64_t columns) {
  return grid_of(batches * tiles_of_product(rows, columns), kBlockThreads);
}

}  // namespace trainer::cuda
