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

// Copies elements [chunk * kBlockThreads, (chunk + 1) * kBlockThreads) in the order of the result.
template <typename T>
__device__ void copy_chunk(const CopyArguments& a, int64_t chunk) {
  int64_t count = 1;
  for (int dim = 0; dim < a.dims; ++dim) count *= a.extents[dim];
  const int64_t i = chunk * kBlockThreads + threadIdx.x;
  if (i >= count) return;
  const Offsets at = outer_offsets(a, a.dims, i);
  static_cast<T*>(a.to)[at.to] = at.inside ? static_cast<const T*>(a.from)[at.from] : T{};
}

constexpr int kTileBytes = kCopyTile * (kCopyTile + 1) * 4;

// The last axis is dense in the result, the last but one in the source. `memory` is shared by the block.
template <typename T>
__device__ void copy_tile(const CopyArguments& a, int64_t number, unsigned char* memory) {
  constexpr int kLines = kBlockThreads / kCopyTile;
  auto* const tile = reinterpret_cast<T(*)[kCopyTile + 1]>(memory);
  const int column_dim = a.dims - 1, row_dim = a.dims - 2;
  const int64_t columns = a.extents[column_dim], rows = a.extents[row_dim];
  const int64_t across = (columns + kCopyTile - 1) / kCopyTile, down = (rows + kCopyTile - 1) / kCopyTile;
  const int x = static_cast<int>(threadIdx.x) % kCopyTile, y = static_cast<int>(threadIdx.x) / kCopyTile;
  const int64_t first_column = number % across * kCopyTile, first_row = number / across % down * kCopyTile;
  const Offsets outer = outer_offsets(a, row_dim, number / across / down);
  for (int line = y; line < kCopyTile; line += kLines) {
    const int64_t row = first_row + x, column = first_column + line;
    if (row >= rows || column >= columns) continue;
    Offsets at = outer;
    advance(&at, a, row_dim, row);
    advance(&at, a, column_dim, column);
    tile[line][x] = at.inside ? static_cast<const T*>(a.from)[at.from] : T{};
  }
  __syncthreads();
  for (int line = y; line < kCopyTile; line += kLines) {
    const int64_t row = first_row + line, column = first_column + x;
    if (row >= rows || column >= columns) continue;
    static_cast<T*>(a.to)[outer.to + row * a.to_strides[row_dim] + column] = tile[x][line];
  }
  __syncthreads();
}

__global__ void __launch_bounds__(kBlockThreads) run_copies(const __grid_constant__ CopyLaunch a) {
  alignas(16) __shared__ unsigned char memory[kTileBytes];
  int i = 0;
  for (int64_t unit = blockIdx.x; unit < a.ends[a.count - 1]; unit += gridDim.x) {
    while (unit >= a.ends[i]) ++i;
    const CopyArguments& copy = a.copies[i];
    const int64_t part = i == 0 ? unit : unit - a.ends[i - 1];
    if (a.transposed[i]) {
      switch (copy.element_bytes) {
        case 1: copy_tile<uint8_t>(copy, part, memory); break;
        case 2: copy_tile<uint16_t>(copy, part, memory); break;
        default: copy_tile<uint32_t>(copy, part, memory);
      }
    } else {
      switch (copy.element_bytes) {
        case 1: copy_chunk<uint8_t>(copy, part); break;
        case 2: copy_chunk<uint16_t>(copy, part); break;
        case 4: copy_chunk<uint32_t>(copy, part); break;
        case 8: copy_chunk<Bytes8>(copy, part); break;
        default: copy_chunk<Bytes16>(copy, part);
      }
    }
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

cudaError_t launch_copies(const CopyLaunch& a, cudaStream_t stream) {
  return launch_kernel(run_copies, grid_of(a.ends[a.count - 1], kBlockThreads), a, stream);
}

cudaError_t launch_reshape(const ReshapeArguments& a, cudaStream_t stream) {
  CopyArguments copy;
  if (as_copy(a, &copy)) {
    CopyLaunch launch;
    launch.add(copy);
    return launch_copies(launch, stream);
  }
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
