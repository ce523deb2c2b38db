// The grid of the tiles in which matrix products and convolutions are made.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

constexpr int kProductTile = 64;   // rows and columns that a block makes at a time
constexpr int kProductDepth = 16;  // and what it holds of the depth

constexpr int64_t tiles_of_product(int64_t rows, int64_t columns) {
  return ceiling_of(rows, kProductTile) * ceiling_of(columns, kProductTile);
}
constexpr Grid grid_of_product(int64_t batches, int64_t rows, int64_t columns) {
  return grid_of(batches * tiles_of_product(rows, columns), kBlockThreads);
}

}  // namespace trainer::cuda
