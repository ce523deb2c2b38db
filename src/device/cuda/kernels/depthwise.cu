// Depthwise convolution and its gradients by packs of channels.
//
// Forward and input gradient: a block keeps its filters in shared memory. A thread gathers kRowsOfUnit rows of the
// result at once, so that a filter's element is read once for them, and their inputs overlap in the cache.
//
// Weight gradient: a thread keeps the sums of kTapsAtOnce taps of a pack in registers while it walks over its units.
// The sums of a block's threads, and then those of the parts, are added in a fixed order.
#include "device/cuda/kernels/depthwise.h"

#include "device/cuda/kernels/launch.h"
#include "device/cuda/kernels/packs.h"

namespace trainer::cuda {
namespace {

// The place of a unit in the result.
struct Place {
  uint32_t n, plane, first_row, column;
};
template <int kRows>
__device__ inline Place place_of(const PackedDepthwise& a, uint32_t unit) {
  Place p;
  p.column = take_remainder(&unit, a.columns);
  p.first_row = take_remainder(&unit, a.runs) * kRows;
  p.plane = take_remainder(&unit, a.planes);
  p.n = unit;
  return p;
}

// Along one axis, the position that a result reads at a tap. Positions before the start wrap to large numbers.
struct Source {
  uint32_t at;
  bool inside;
};
template <bool kInputGradient>
__device__ inline Source source_of(const PackedDepthwise& a, int axis, uint32_t result, uint32_t tap) {
  if constexpr (kInputGradient) {
    const uint32_t at = result + a.pad[axis] - tap * a.dilation[axis], output = divide(at, a.stride[axis]);
    return {output, output * a.stride[axis].value == at && output < a.out[axis]};
  }
  const uint32_t at = result * a.stride[axis].value - a.pad[axis] + tap * a.dilation[axis];
  return {at, at < a.in[axis]};
}

// The offset of a tap in a filter.
__device__ inline uint32_t offset_of_tap(const PackedDepthwise& a, uint32_t tap) {
  const uint32_t column = take_remainder(&tap, a.kernel[2]), row = take_remainder(&tap, a.kernel[1]);
  return tap * a.w_taps[0] + row * a.w_taps[1] + column * a.w_taps[2];
}

// In the filters of a block, the floats from one tap to the next, and the place of value i of a lane: threads read four
// neighbors at once, without bank conflicts.
template <int W>
__device__ inline uint32_t floats_of_tap(const PackedDepthwise& a) {
  return a.lanes * W + kFilterPadding;
}
template <int W>
__device__ inline uint32_t place_in_tap(const PackedDepthwise& a, uint32_t lane, uint32_t i) {
  return W == 1 ? lane : (i / 4 * a.lanes + lane) * 4 + i % 4;
}

template <int W>
__device__ inline void load_filters(const PackedDepthwise& a, uint32_t first_pack, float* filters) {
  const uint32_t count = a.lanes * W * a.taps.value;
  for (uint32_t i = threadIdx.y * blockDim.x + threadIdx.x; i < count; i += blockDim.x * blockDim.y) {
    uint32_t c = i;
    const uint32_t tap = take_remainder(&c, a.taps), channel = first_pack * W + c;
    float weight = 0;
    if (channel < a.channels) weight = load(a.w, a.w_type, int64_t{channel} * a.w_channels + offset_of_tap(a, tap));
    filters[tap * floats_of_tap<W>(a) + place_in_tap<W>(a, c / W, c % W)] = weight;
  }
}

template <int W>
__device__ inline void read_filter(const PackedDepthwise& a, const float* tap, uint32_t lane, float (&weights)[W]) {
  if constexpr (W == 1) {
    weights[0] = tap[lane];
  } else {
    struct alignas(16) Four {
      float at[4];
    };
#pragma unroll
    for (int i = 0; i < W; i += 4) {
      const Four four = *reinterpret_cast<const Four*>(tap + place_in_tap<W>(a, lane, i));
#pragma unroll
      for (int j = 0; j < 4; ++j) weights[i + j] = four.at[j];
    }
  }
}

// The sums of the rows of a unit over the window. kColumns: those of the window, or 0. Unrolling the loop over rows as
// well would take more registers than there are.
template <typename T, int W, int kColumns, bool kInputGradient>
__device__ inline void gather(const PackedDepthwise& a, const Place& p, uint32_t pack, uint32_t lane,
                              const float* filters, float (&sums)[kRowsOfUnit][W]) {
  const void* from = kInputGradient ? a.y : a.x;
  const PackStrides& strides = kInputGradient ? a.y_strides : a.x_strides;
  const uint32_t base = p.n * strides.n + pack * strides.c;
  const uint32_t rows = a.kernel[1].value, columns = kColumns > 0 ? kColumns : a.kernel[2].value;
  for (uint32_t tap_0 = 0; tap_0 < a.kernel[0].value; ++tap_0) {
    const Source z = source_of<kInputGradient>(a, 0, p.plane, tap_0);
    if (!z.inside) continue;
#pragma unroll 1
    for (uint32_t tap_1 = 0; tap_1 < rows; ++tap_1) {
      Source y[kRowsOfUnit];
#pragma unroll
      for (int r = 0; r < kRowsOfUnit; ++r) {
        y[r] = source_of<kInputGradient>(a, 1, p.first_row + r, tap_1);
        y[r].at = base + z.at * strides.spatial[0] + y[r].at * strides.spatial[1];
      }
      const auto take = [&](uint32_t tap_2) {
        const Source x = source_of<kInputGradient>(a, 2, p.column, tap_2);
        Pack<W, T> packs[kRowsOfUnit];
#pragma unroll
        for (int r = 0; r < kRowsOfUnit; ++r) {
          packs[r] = {};
          load_if(x.inside && y[r].inside, from, y[r].at + x.at * strides.spatial[2], &packs[r]);
        }
        float weights[W];
        read_filter(a, filters + ((tap_0 * rows + tap_1) * columns + tap_2) * floats_of_tap<W>(a), lane, weights);
#pragma unroll
        for (int r = 0; r < kRowsOfUnit; ++r) {
#pragma unroll
          for (int w = 0; w < W; ++w) sums[r][w] += value_of(packs[r], w) * weights[w];
        }
      };
      if constexpr (kColumns > 0) {
#pragma unroll
        for (int tap_2 = 0; tap_2 < kColumns; ++tap_2) take(tap_2);
      } else {
        for (uint32_t tap_2 = 0; tap_2 < columns; ++tap_2) take(tap_2);
      }
    }
  }
}

template <typename T, int W, int kColumns, bool kInputGradient>
__global__ void __launch_bounds__(kBlockThreads, 2) depthwise(const __grid_constant__ PackedDepthwise a) {
  alignas(16) __shared__ float filters[kFilterFloats];
  const uint32_t lane = threadIdx.x;
  for (uint32_t item = blockIdx.x; item < a.items; item += gridDim.x) {
    uint32_t part = item;
    const uint32_t first_pack = take_remainder(&part, a.channel_blocks) * a.lanes, pack = first_pack + lane;
    __syncthreads();  // all threads have read the filters of the previous item
    load_filters<W>(a, first_pack, filters);
    __syncthreads();
    if (pack >= a.packs) continue;
    float bias[W] = {};
#pragma unroll
    for (int w = 0; w < W; ++w) {
      if (a.bias != nullptr) bias[w] = a.bias[pack * W + w];
    }
    for (uint32_t unit = part * a.slots + threadIdx.y; unit < a.units; unit += a.parts * a.slots) {
      const Place p = place_of<kRowsOfUnit>(a, unit);
      float sums[kRowsOfUnit][W] = {};
      gather<T, W, kColumns, kInputGradient>(a, p, pack, lane, filters, sums);
      const PackStrides& strides = kInputGradient ? a.x_strides : a.y_strides;
#pragma unroll
      for (int r = 0; r < kRowsOfUnit; ++r) {
        if (p.first_row + r >= a.rows) break;
#pragma unroll
        for (int w = 0; w < W; ++w) sums[r][w] = with_epilogue(a.epilogue, sums[r][w] + bias[w]);
        store_floats<T>(kInputGradient ? a.x : a.y, offset_of(strides, p.n, pack, p.plane, p.first_row + r, p.column),
                        sums[r]);
      }
    }
  }
}

// Adds the products of one output position to the sums of kTapsAtOnce taps from `first_tap`.
template <typename T, int W, bool k3By3>
__device__ inline void add_products(const PackedDepthwise& a, const Place& p, uint32_t row, uint32_t pack,
                                    const volatile uint32_t (&taps)[kTapsAtOnce][3], uint32_t tap_count,
                                    float (&sums)[kTapsAtOnce][W]) {
  constexpr int kLoads = k3By3 ? kTapsAtOnce : 3;
  Pack<W, T> g = {};
  load_if(true, a.y, offset_of(a.y_strides, p.n, pack, p.plane, row, p.column), &g);
#pragma unroll
  for (int first = 0; first < kTapsAtOnce; first += kLoads) {
    Pack<W, T> x[kLoads];
#pragma unroll
    for (int j = 0; j < kLoads; ++j) {
      const int i = first + j;
      const uint32_t tap_0 = k3By3 ? 0 : taps[i][0], tap_1 = k3By3 ? i / 3 : taps[i][1],
                     tap_2 = k3By3 ? i % 3 : taps[i][2];
      const Source z = source_of<false>(a, 0, p.plane, tap_0), y = source_of<false>(a, 1, row, tap_1),
                   column = source_of<false>(a, 2, p.column, tap_2);
      x[j] = {};
      load_if(z.inside && y.inside && column.inside && (k3By3 || i < tap_count), a.x,
              offset_of(a.x_strides, p.n, pack, z.at, y.at, column.at), &x[j]);
    }
#pragma unroll
    for (int w = 0; w < W; ++w) {
      const float gradient = value_of(g, w);
#pragma unroll
      for (int j = 0; j < kLoads; ++j) sums[first + j][w] += gradient * value_of(x[j], w);
    }
  }
}

// k3By3: the filters of an image have 3 * 3 taps.
template <typename T, int W, bool k3By3>
__global__ void __launch_bounds__(kBlockThreads, 2)
    depthwise_weight_gradient(const __grid_constant__ PackedDepthwise a) {
  __shared__ float shared[kBlockThreads * W];
  __shared__ uint32_t taps[kTapsAtOnce][3];
  const uint32_t lane = threadIdx.x, slot = threadIdx.y, thread = slot * blockDim.x + lane;
  for (uint32_t item = blockIdx.x; item < a.items; item += gridDim.x) {
    uint32_t part = item;
    const uint32_t first_pack = take_remainder(&part, a.channel_blocks) * a.lanes, pack = first_pack + lane;
    const uint32_t first_tap = take_remainder(&part, a.tap_groups) * kTapsAtOnce;
    const uint32_t left = a.taps.value - first_tap, tap_count = left < kTapsAtOnce ? left : kTapsAtOnce;
    if (!k3By3 && thread == 0) {
      for (uint32_t i = 0; i < kTapsAtOnce; ++i) {
        uint32_t tap = first_tap + i;
        taps[i][2] = take_remainder(&tap, a.kernel[2]);
        taps[i][1] = take_remainder(&tap, a.kernel[1]);
        taps[i][0] = tap;
      }
    }
    if (!k3By3) __syncthreads();
    float sums[kTapsAtOnce][W] = {};
    for (uint32_t unit = part * a.slots + slot; pack < a.packs && unit < a.units; unit += a.parts * a.slots) {
      const Place p = place_of<kRowsOfGradientUnit>(a, unit);
      for (uint32_t row = p.first_row; row < p.first_row + kRowsOfGradientUnit && row < a.rows; ++row)
        add_products<T, W, k3By3>(a, p, row, pack, taps, tap_count, sums);
    }
    // Each tap in turn: the block's threads leave their sums, and threads add those of all slots.
#pragma unroll
    for (int i = 0; i < kTapsAtOnce; ++i) {
#pragma unroll
      for (int w = 0; w < W; ++w) shared[thread * W + w] = sums[i][w];
      __syncthreads();
      for (uint32_t c = thread; i < tap_count && c < a.lanes * W; c += blockDim.x * blockDim.y) {
        const uint32_t channel = first_pack * W + c, tap = first_tap + i;
        float sum = 0;
        for (uint32_t s = 0; s < a.slots; ++s) sum += shared[s * a.lanes * W + c];
        if (channel >= a.channels) continue;
        if (a.partial == nullptr) {
          store(a.w, a.w_type, int64_t{channel} * a.w_channels + offset_of_tap(a, tap), sum);
        } else {
          a.partial[(int64_t{part} * a.channels + channel) * a.taps.value + tap] = sum;
        }
      }
      __syncthreads();
    }
  }
}

constexpr int kSumsOfBlock = 8, kPartsAtOnce = kBlockThreads / kSumsOfBlock;

// Threads along y share the parts of a sum.
__global__ void __launch_bounds__(kBlockThreads) add_depthwise_parts(const __grid_constant__ PackedDepthwise a) {
  __shared__ float shared[kPartsAtOnce][kSumsOfBlock];
  const uint32_t x = threadIdx.x, y = threadIdx.y, count = a.channels * a.taps.value;
  for (uint32_t first = blockIdx.x * kSumsOfBlock; first < count; first += gridDim.x * kSumsOfBlock) {
    const uint32_t i = first + x;
    float sum = 0;
    if (i < count) {
#pragma unroll 4
      for (uint32_t part = y; part < a.parts; part += kPartsAtOnce) sum += a.partial[int64_t{part} * count + i];
    }
    shared[y][x] = sum;
    __syncthreads();
    for (uint32_t half = kPartsAtOnce / 2; half > 0; half /= 2) {
      if (y < half) shared[y][x] += shared[y + half][x];
      __syncthreads();
    }
    if (y == 0 && i < count) {
      uint32_t channel = i;
      const uint32_t tap = take_remainder(&channel, a.taps);
      store(a.w, a.w_type, int64_t{channel} * a.w_channels + offset_of_tap(a, tap), shared[0][x]);
    }
    __syncthreads();
  }
}

using DepthwiseKernel = void (*)(PackedDepthwise);

template <typename T>
constexpr int kFull = kPackBytes / static_cast<int>(sizeof(T));

template <typename T, bool kInputGradient>
DepthwiseKernel gather_of(const PackedDepthwise& a) {
  if (a.width == 1) return depthwise<T, 1, 0, kInputGradient>;
  return a.kernel[2].value == 3 ? depthwise<T, kFull<T>, 3, kInputGradient> : depthwise<T, kFull<T>, 0, kInputGradient>;
}

template <typename T>
DepthwiseKernel weight_gradient_of(const PackedDepthwise& a) {
  if (a.width == 1) return depthwise_weight_gradient<T, 1, false>;
  const bool is_3_by_3 = a.kernel[0].value == 1 && a.kernel[1].value == 3 && a.kernel[2].value == 3;
  return is_3_by_3 ? depthwise_weight_gradient<T, kFull<T>, true> : depthwise_weight_gradient<T, kFull<T>, false>;
}

DepthwiseKernel of_type(ElementType type, DepthwiseKernel f32, DepthwiseKernel bf16, DepthwiseKernel f16) {
  return type == ElementType::kF32 ? f32 : type == ElementType::kBF16 ? bf16 : f16;
}

Grid grid_of_depthwise(const PackedDepthwise& a) {
  return grid_of(a.items, static_cast<int>(a.lanes), static_cast<int>(a.slots));
}

template <bool kInputGradient>
cudaError_t launch_gather(const ConvolutionArguments& arguments, cudaStream_t stream) {
  const PackedDepthwise a = packed_depthwise(arguments, kInputGradient, false);
  const DepthwiseKernel kernel = of_type(arguments.x_type, gather_of<float, kInputGradient>(a),
                                         gather_of<Bf16, kInputGradient>(a), gather_of<F16, kInputGradient>(a));
  return launch_kernel(kernel, grid_of_depthwise(a), a, stream);
}

}  // namespace

cudaError_t launch_depthwise(const ConvolutionArguments& arguments, cudaStream_t stream) {
  return launch_gather<false>(arguments, stream);
}

cudaError_t launch_depthwise_input_gradient(const ConvolutionArguments& arguments, cudaStream_t stream) {
  return launch_gather<true>(arguments, stream);
}

cudaError_t launch_depthwise_weight_gradient(const ConvolutionArguments& arguments, cudaStream_t stream) {
  const PackedDepthwise a = packed_depthwise(arguments, false, true);
  const DepthwiseKernel kernel =
      of_type(arguments.x_type, weight_gradient_of<float>(a), weight_gradient_of<Bf16>(a), weight_gradient_of<F16>(a));
  const cudaError_t queued = launch_kernel(kernel, grid_of_depthwise(a), a, stream);
  if (queued != cudaSuccess || a.partial == nullptr) return queued;
  const Grid grid = grid_of(ceil_div(int64_t{a.channels} * a.taps.value, kSumsOfBlock), kSumsOfBlock, kPartsAtOnce);
  return launch_kernel(add_depthwise_parts, grid, a, stream);
}

}  // namespace trainer::cuda
