// Tiled matrix products.
#include "device/cuda/kernels/matmul.h"

#include "device/cuda/kernels/launch.h"
#include "device/cuda/kernels/tiles.h"

namespace trainer::cuda {
namespace {

struct MatrixProduct {
  const MatmulArguments& a;

  __device__ int64_t batches() const { return a.batch; }
  __device__ int64_t rows() const { return a.m; }
  __device__ int64_t columns() const { return a.n; }
  __device__ int64_t depth_begin(int64_t) const { return 0; }
  __device__ int64_t depth_end(int64_t) const { return a.k; }
  __device__ bool left_is_dense_along_depth() const { return !a.transpose_a; }
  __device__ bool right_is_dense_along_depth() const { return a.transpose_b; }
  __device__ float left(int64_t batch, int64_t row, int64_t depth) const {
    return load(a.a, a.a_type, batch * a.m * a.k + (a.transpose_a ? depth * a.m + row : row * a.k + depth));
  }
  __device__ float right(int64_t batch, int64_t depth, int64_t column) const {
    return load(a.b, a.b_type, batch * a.k * a.n + (a.transpose_b ? column * a.k + depth : depth * a.n + column));
  }
  __device__ void store(int64_t batch, int64_t row, int64_t column, float sum) const {
    const float biased = a.bias == nullptr ? sum : sum + a.bias[column];
    cuda::store(a.y, a.y_type, (batch * a.m + row) * a.n + column, with_epilogue(a.epilogue, biased));
  }
};

__global__ void __launch_bounds__(kBlockThreads) matmul(const __grid_constant__ MatmulArguments a) {
  make_tiles(MatrixProduct{a});
}

}  // namespace

cudaError_t launch_matmul(const MatmulArguments& a, cudaStream_t stream) {
  return launch_kernel(matmul, grid_of_matmul(a), a, stream);
}

}  // namespace trainer::cuda
