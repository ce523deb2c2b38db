// Changes type, order and channels of weights tile by tile.
#include "device/cuda/kernels/repack.h"

#include "device/cuda/kernels/launch.h"
#include "device/cuda/kernels/packs.h"

namespace trainer::cuda {
namespace {

// Elements [begin, end) in the order of the result.
template <typename From, typename To>
__device__ inline void repack_tile(const Repack& a, int begin, int end) {
  const From* const from = static_cast<const From*>(a.from);
  To* const to = static_cast<To*>(a.to);
  const int threads = static_cast<int>(blockDim.x), first = static_cast<int>(threadIdx.x);
  if (a.channels == a.from_channels && (a.channels == 1 || a.taps == 1)) {
    constexpr int kWidth = 4;
    const int whole = (end - begin) / kWidth;
    for (int i = first; i < whole; i += threads) {
      Pack<kWidth, From> pack;
      load_if(true, from + begin, static_cast<uint32_t>(i), &pack);
      float values[kWidth];
#pragma unroll
      for (int j = 0; j < kWidth; ++j) values[j] = value_of(pack, j);
      store_floats<To>(to + begin, static_cast<uint32_t>(i), values);
    }
    for (int i = begin + kWidth * whole + first; i < end; i += threads) put(to + i, to_float(from[i]));
    return;
  }
  // Element i is at [outer][inner] of its row here and at [inner][outer] there.
  const int inner = a.to_channels_last ? a.channels : a.taps, outer = a.to_channels_last ? a.taps : a.channels;
  for (int i = begin + first; i < end; i += threads) {
    const int column = i % inner, rest = i / inner, line = rest % outer, row = rest / outer;
    const bool inside = (a.to_channels_last ? column : line) < a.from_channels;
    const int at = a.to_channels_last ? column * a.taps + line : column * a.from_channels + line;
    put(to + i, inside ? to_float(from[row * a.from_channels * a.taps + at]) : 0.0f);
  }
}

template <typename From>
__device__ inline void repack_from(const Repack& a, int begin, int end) {
  switch (a.to_type) {
    case ElementType::kBF16: return repack_tile<From, Bf16>(a, begin, end);
    case ElementType::kF16: return repack_tile<From, F16>(a, begin, end);
    default: return repack_tile<From, float>(a, begin, end);
  }
}

__global__ void __launch_bounds__(kBlockThreads) repack(const __grid_constant__ RepackArguments a) {
  int tiles = 0;
  for (int i = 0; i < a.count; ++i) tiles += a.tensors[i].tiles;
  for (int tile = static_cast<int>(blockIdx.x); tile < tiles; tile += static_cast<int>(gridDim.x)) {
    int i = 0, at = tile;
    for (; at >= a.tensors[i].tiles; ++i) at -= a.tensors[i].tiles;
    const Repack& tensor = a.tensors[i];
    const int begin = at * tensor.tile;
    const int end = tensor.count - begin < tensor.tile ? tensor.count : begin + tensor.tile;
    switch (tensor.from_type) {
      case ElementType::kBF16: repack_from<Bf16>(tensor, begin, end); break;
      case ElementType::kF16: repack_from<F16>(tensor, begin, end); break;
      default: repack_from<float>(tensor, begin, end);
    }
  }
}

}  // namespace

cudaError_t launch_repack(const RepackArguments& a, cudaStream_t stream) {
  return launch_kernel(repack, grid_of_repack(a), a, stream);
}

}  // namespace trainer::cuda
