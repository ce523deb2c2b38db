// Strided copies: by elements in the order of the result, or by tiles that are transposed in shared memory.
#include "device/cuda/kernels/copy.h"

#include "device/cuda/kernels/elements.h"
#include "device/cuda/kernels/launch.h"

namespace trainer::cuda {
namespace {

struct alignas(8) Bytes8 {
  uint32_t words[2];
};
struct alignas(16) Bytes16 {
  uint32_t words[4];
};

// The offsets of an element on both sides. An element outside the source is zero.
struct Offsets {
  int64_t from = 0, to = 0;
  bool inside = true;
};
__device__ inline void advance(Offsets* offsets, const CopyArguments& a, int dim, int64_t at) {
  offsets->to += at * a.to_strides[dim];
  if (dim == a.padded) {
    offsets->inside = offsets->inside && at >= a.begin && at < a.end;
    at -= a.begin;
  }
  offsets->from += at * a.from_strides[dim];
}
// The offsets of row-major position `index` along the axes [0, dims).
__device__ inline Offsets outer_offsets(const CopyArguments& a, int dims, int64_t index) {
  Offsets offsets;
  for (int dim = dims - 1; dim >= 0; --dim) {
    advance(&offsets, a, dim, index % a.extents[dim]);
    index /= a.extents[dim];
  }
  return offsets;
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) copy_elements(const __grid_constant__ CopyArguments a) {
  int64_t count = 1;
  for (int dim = 0; dim < a.dims; ++dim) count *= a.extents[dim];
  for (int64_t i = first_element(); i < count; i += grid_stride()) {
    const Offsets at = outer_offsets(a, a.dims, i);
    static_cast<T*>(a.to)[at.to] = at.inside ? static_cast<const T*>(a.from)[at.from] : T{};
  }
}

// The last axis is dense in the result, the last but one in the source.
template <typename T>
__global__ void __launch_bounds__(kCopyTile* kCopyTileThreads)
    copy_transposed(const __grid_constant__ CopyArguments a) {
  __shared__ T tile[kCopyTile][kCopyTile + 1];
  const int column_dim = a.dims - 1, row_dim = a.dims - 2;
  const int64_t columns = a.extents[column_dim], rows = a.extents[row_dim];
  const int64_t across = (columns + kCopyTile - 1) / kCopyTile, down = (rows + kCopyTile - 1) / kCopyTile;
  int64_t tiles = across * down;
  for (int dim = 0; dim < row_dim; ++dim) tiles *= a.extents[dim];
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  for (int64_t i = blockIdx.x; i < tiles; i += gridDim.x) {
    const int64_t first_column = i % across * kCopyTile, first_row = i / across % down * kCopyTile;
    const Offsets outer = outer_offsets(a, row_dim, i / across / down);
    for (int line = y; line < kCopyTile; line += kCopyTileThreads) {
      const int64_t row = first_row + x, column = first_column + line;
      if (row >= rows || column >= columns) continue;
      Offsets at = outer;
      advance(&at, a, row_dim, row);
      advance(&at, a, column_dim, column);
      tile[line][x] = at.inside ? static_cast<const T*>(a.from)[at.from] : T{};
    }
    __syncthreads();
    for (int line = y; line < kCopyTile; line += kCopyTileThreads) {
      const int64_t row = first_row + line, column = first_column + x;
      if (row >= rows || column >= columns) continue;
      static_cast<T*>(a.to)[outer.to + row * a.to_strides[row_dim] + column] = tile[x][line];
    }
    __syncthreads();
  }
}

__device__ inline int64_t offset_of(int dims, const int64_t* extents, const int64_t* strides, int64_t index) {
  int64_t offset = 0;
  for (int dim = dims - 1; dim >= 0; --dim) {
    offset += index % extents[dim] * strides[dim];
    index /= extents[dim];
  }
  return offset;
}

// For shapes that do not split into common axes.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads) reshape_elements(const __grid_constant__ ReshapeArguments a) {
  int64_t count = 1;
  for (int dim = 0; dim < a.to_dims; ++dim) count *= a.to_extents[dim];
  for (int64_t i = first_element(); i < count; i += grid_stride()) {
    static_cast<T*>(a.to)[offset_of(a.to_dims, a.to_extents, a.to_strides, i)] =
        static_cast<const T*>(a.from)[offset_of(a.from_dims, a.from_extents, a.from_strides, i)];
  }
}

__global__ void __launch_bounds__(kBlockThreads) copy_inline(const __grid_constant__ InlineCopyArguments a) {
  for (int64_t i = first_element(); i < a.count; i += grid_stride()) static_cast<uint8_t*>(a.to)[i] = a.bytes[i];
}

}  // namespace

cudaError_t launch_copy(const CopyArguments& arguments, cudaStream_t stream) {
  CopyArguments a = simplified(arguments);
  if (transposes(&a)) {
    const Grid grid = grid_of_transposition(a);
    switch (a.element_bytes) {
      case 1: return launch_kernel(copy_transposed<uint8_t>, grid, a, stream);
      case 2: return launch_kernel(copy_transposed<uint16_t>, grid, a, stream);
      case 4: return launch_kernel(copy_transposed<uint32_t>, grid, a, stream);
      default: return cudaErrorInvalidValue;
    }
  }
  a = widened(a);
  const Grid grid = grid_of_elements(count_of(a));
  switch (a.element_bytes) {
    case 1: return launch_kernel(copy_elements<uint8_t>, grid, a, stream);
    case 2: return launch_kernel(copy_elements<uint16_t>, grid, a, stream);
    case 4: return launch_kernel(copy_elements<uint32_t>, grid, a, stream);
    case 8: return launch_kernel(copy_elements<Bytes8>, grid, a, stream);
    case 16: return launch_kernel(copy_elements<Bytes16>, grid, a, stream);
    default: return cudaErrorInvalidValue;
  }
}

cudaError_t launch_reshape(const ReshapeArguments& a, cudaStream_t stream) {
  CopyArguments copy;
  if (as_copy(a, &copy)) return launch_copy(copy, stream);
  int64_t count = 1;
  for (int i = 0; i < a.to_dims; ++i) count *= a.to_extents[i];
  const Grid grid = grid_of_elements(count);
  switch (a.element_bytes) {
    case 1: return launch_kernel(reshape_elements<uint8_t>, grid, a, stream);
    case 2: return launch_kernel(reshape_elements<uint16_t>, grid, a, stream);
    case 4: return launch_kernel(reshape_elements<uint32_t>, grid, a, stream);
    default: return cudaErrorInvalidValue;
  }
}

cudaError_t launch_inline_copy(const InlineCopyArguments& a, cudaStream_t stream) {
  return launch_kernel(copy_inline, grid_of_elements(a.count), a, stream);
}

}  // namespace trainer::cuda
