// Tiled matrix products in device code, for matmul and convolution.
//
// The type Product has:
//   int64_t batches(), rows(), columns()            the extents of the result
//   int64_t depth_begin(batch), depth_end(batch)    the range of the sums
//   float left(batch, row, depth), float right(batch, depth, column)      the elements of the factors
//   bool left_is_dense_along_depth(), bool right_is_dense_along_depth()   the direction of coalesced reads
//   void store(batch, row, column, sum)             called once for each element of the result
// Sums run in the order of depth. The loops over a thread's elements are unrolled so that the sums stay in registers.
#pragma once

#include "device/cuda/kernels/elements.h"
#include "device/cuda/kernels/product_grid.h"

namespace trainer::cuda {

// All kBlockThreads threads of a block call this. Each computes 4 * 4 elements of a tile.
template <typename Product>
__device__ inline void make_tiles(const Product& product) {
  constexpr int kEach = 4, kAcross = kProductTile / kEach, kLoads = kProductTile * kProductDepth / kBlockThreads;
  alignas(16) __shared__ float left[kProductDepth][kProductTile + 4];
  alignas(16) __shared__ float right[kProductDepth][kProductTile + 4];
  const int thread = static_cast<int>(threadIdx.x);
  const int first_row = thread / kAcross * kEach, first_column = thread % kAcross * kEach;
  const int64_t rows = product.rows(), columns = product.columns();
  const int64_t down = (rows + kProductTile - 1) / kProductTile, across = (columns + kProductTile - 1) / kProductTile;
  const int64_t tiles = product.batches() * down * across;
  const bool left_along_depth = product.left_is_dense_along_depth();
  const bool right_along_depth = product.right_is_dense_along_depth();

  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t batch = tile / across / down, end = product.depth_end(batch);
    const int64_t row_0 = tile / across % down * kProductTile, column_0 = tile % across * kProductTile;
    float sums[kEach][kEach] = {};
    for (int64_t depth_0 = product.depth_begin(batch); depth_0 < end; depth_0 += kProductDepth) {
      for (int i = 0; i < kLoads; ++i) {
        const int at = thread + i * kBlockThreads;
        const int left_depth = left_along_depth ? at % kProductDepth : at / kProductTile;
        const int row = left_along_depth ? at / kProductDepth : at % kProductTile;
        const bool has_left = depth_0 + left_depth < end && row_0 + row < rows;
        left[left_depth][row] = has_left ? product.left(batch, row_0 + row, depth_0 + left_depth) : 0;
        const int right_depth = right_along_depth ? at % kProductDepth : at / kProductTile;
        const int column = right_along_depth ? at / kProductDepth : at % kProductTile;
        const bool has_right = depth_0 + right_depth < end && column_0 + column < columns;
        right[right_depth][column] = has_right ? product.right(batch, depth_0 + right_depth, column_0 + column) : 0;
      }
      __syncthreads();
#pragma unroll
      for (int d = 0; d < kProductDepth; ++d) {
#pragma unroll
        for (int i = 0; i < kEach; ++i) {
#pragma unroll
          for (int j = 0; j < kEach; ++j) sums[i][j] += left[d][first_row + i] * right[d][first_column + j];
        }
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        const int64_t row = row_0 + first_row + i, column = column_0 + first_column + j;
        if (row < rows && column < columns) product.store(batch, row, column, sums[i][j]);
      }
    }
  }
}

}  // namespace trainer::cuda
