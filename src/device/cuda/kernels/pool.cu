// Max and sum pooling and their gradients: a thread computes packs of channels in one or several rows of the result.
//
// A thread queues the loads of a part of a window before it uses the first. For the usual windows, which have kernels
// of their own, the part is the whole window.
#include "device/cuda/kernels/pool.h"

#include <cfloat>

#include "device/cuda/kernels/launch.h"
#include "device/cuda/kernels/packs.h"

namespace trainer::cuda {
namespace {

// The place of an item in the result.
struct Place {
  uint32_t n, c, plane, first_row, end_row, column;
};
__device__ inline Place place_of(const PackedPool& a, uint32_t item) {
  Place p;
  p.c = take_remainder(&item, a.packs);
  p.column = take_remainder(&item, a.columns);
  p.first_row = take_remainder(&item, a.runs) * a.run;
  p.end_row = p.first_row + a.run < a.rows ? p.first_row + a.run : a.rows;
  p.plane = take_remainder(&item, a.planes);
  p.n = item;
  return p;
}

// Calls body(pack, tap) for the elements in the window of an output, in row-major order. For elements outside the input
// it is called with `outside` or not at all. kWindow: the rows and columns of the window, or 0. Of `shares` threads,
// each takes a share of the window's rows.
template <int kWindow, typename T, int W, typename Body>
__device__ inline void each_in_window(const PackedPool& a, const Place& p, uint32_t row, uint32_t share,
                                      uint32_t shares, const Pack<W, T>& outside, const Body& body) {
  constexpr int kRows = kWindow > 0 ? kWindow : 1, kColumns = kWindow > 0 ? kWindow : 4;
  const uint32_t rows = kWindow > 0 ? kWindow : a.kernel[1], columns = kWindow > 0 ? kWindow : a.kernel[2];
  const uint32_t base = p.n * a.x_strides.n + p.c * a.x_strides.c;
  // Positions before the input wrap to large numbers.
  const uint32_t first_plane = p.plane * a.stride[0].value - a.pad[0], first_row = row * a.stride[1].value - a.pad[1],
                 first_column = p.column * a.stride[2].value - a.pad[2];
  for (uint32_t plane = 0; plane < a.kernel[0]; ++plane) {
    const uint32_t z = first_plane + plane;
    if (z >= a.in[0]) continue;
    for (uint32_t row_0 = share * kRows; row_0 < rows; row_0 += shares * kRows) {
      for (uint32_t column_0 = 0; column_0 < columns; column_0 += kColumns) {
        Pack<W, T> packs[kRows * kColumns];
#pragma unroll
        for (int i = 0; i < kRows * kColumns; ++i) {
          const uint32_t window_column = column_0 + i % kColumns;
          const uint32_t y = first_row + row_0 + i / kColumns, x = first_column + window_column;
          const bool inside = window_column < columns && y < a.in[1] && x < a.in[2];
          packs[i] = outside;
          load_if(inside, a.x,
                  base + z * a.x_strides.spatial[0] + y * a.x_strides.spatial[1] + x * a.x_strides.spatial[2],
                  &packs[i]);
        }
#pragma unroll
        for (int i = 0; i < kRows * kColumns; ++i)
          body(packs[i], (plane * rows + row_0 + i / kColumns) * columns + column_0 + i % kColumns);
      }
    }
  }
}

// Along one axis, the last output whose window may contain an input, and the input's offset within that window. From
// there to the output before it, the offset grows by the stride.
struct Over {
  uint32_t output, tap;
};
__device__ inline Over over(const PackedPool& a, int axis, uint32_t input) {
  uint32_t output = input + a.pad[axis];
  const uint32_t tap = take_remainder(&output, a.stride[axis]);
  return {output, tap};
}

// The loads of a part. kCount: an upper bound of the windows over an input along each axis of an image, or 0.
template <int kCount>
constexpr int kLoads = kCount > 0 ? kCount* kCount : 4;

// Visits the windows that contain an input, in parts of kLoads: calls load(i, inside, offset) for each window of a part
// with the output's offset in y, and then body(i, tap) with the input's offset within the window. If `inside` is false,
// there is no such window.
template <int kCount, typename Load, typename Body>
__device__ inline void each_window_over(const PackedPool& a, const Place& p, uint32_t row, const Load& load,
                                        const Body& body) {
  constexpr int kColumns = kCount > 0 ? kCount : 4;
  const Over plane = over(a, 0, p.plane), line = over(a, 1, row), column = over(a, 2, p.column);
  const uint32_t step_0 = a.stride[0].value, step_1 = a.stride[1].value, step_2 = a.stride[2].value;
  const uint32_t base = p.n * a.y_strides.n + p.c * a.y_strides.c;
  uint32_t z = plane.output;
  for (uint32_t tap_0 = plane.tap; tap_0 < a.kernel[0]; tap_0 += step_0, --z) {
    if (z >= a.out[0]) continue;
    const auto part = [&](uint32_t row_0, uint32_t column_0) {
#pragma unroll
      for (int i = 0; i < kLoads<kCount>; ++i) {
        const uint32_t l = row_0 + i / kColumns, m = column_0 + i % kColumns;
        const uint32_t y = line.output - l, x = column.output - m;
        const bool inside = line.tap + l * step_1 < a.kernel[1] && y < a.out[1] &&
                            column.tap + m * step_2 < a.kernel[2] && x < a.out[2];
        load(i, inside, base + z * a.y_strides.spatial[0] + y * a.y_strides.spatial[1] + x * a.y_strides.spatial[2]);
      }
#pragma unroll
      for (int i = 0; i < kLoads<kCount>; ++i) {
        const uint32_t l = row_0 + i / kColumns, m = column_0 + i % kColumns;
        body(i, (tap_0 * a.kernel[1] + line.tap + l * step_1) * a.kernel[2] + column.tap + m * step_2);
      }
    };
    if constexpr (kCount > 0) {
      part(0, 0);
    } else {
      for (uint32_t l = 0; line.tap + l * step_1 < a.kernel[1]; ++l) {
        for (uint32_t m = 0; column.tap + m * step_2 < a.kernel[2]; m += kColumns) part(l, m);
      }
    }
  }
}

// The maxima of windows that a thread has seen so far.
template <int W>
struct Maximum {
  float best[W];
  int winner[W];

  __device__ Maximum() {
#pragma unroll
    for (int w = 0; w < W; ++w) best[w] = -FLT_MAX, winner[w] = -1;
  }
  template <typename T>
  __device__ void take(const Pack<W, T>& x, uint32_t tap) {
#pragma unroll
    for (int w = 0; w < W; ++w) {
      const float value = value_of(x, w);
      if (!(value > best[w])) continue;
      best[w] = value;
      winner[w] = static_cast<int>(tap);
    }
  }
  // Joins the maxima that the lane at this distance has seen.
  __device__ void join(int distance) {
#pragma unroll
    for (int w = 0; w < W; ++w) {
      const float value = __shfl_xor_sync(~0u, best[w], distance);
      const int tap = __shfl_xor_sync(~0u, winner[w], distance);
      if (tap < 0 || !(value > best[w] || (value == best[w] && tap < winner[w]))) continue;
      best[w] = value;
      winner[w] = tap;
    }
  }
};

template <int W>
struct Sum {
  float sum[W] = {};

  template <typename T>
  __device__ void take(const Pack<W, T>& x, uint32_t) {
#pragma unroll
    for (int w = 0; w < W; ++w) sum[w] += value_of(x, w);
  }
  __device__ void join(int distance) {
#pragma unroll
    for (int w = 0; w < W; ++w) sum[w] += __shfl_xor_sync(~0u, sum[w], distance);
  }
};

// Calls finish(accumulator, offset in y) for every output. kShares: 1, or kWindowShares threads of a warp for an item,
// with 4 items to a warp.
template <typename Accumulator, int kWindow, int kShares, typename T, int W, typename Finish>
__device__ inline void each_output(const PackedPool& a, const Pack<W, T>& outside, const Finish& finish) {
  for (uint32_t thread = first_item(); thread < a.threads; thread += item_stride()) {
    const uint32_t item = kShares == 1 ? thread : thread / 32 * 4 + thread % 4;
    const uint32_t share = kShares == 1 ? 0 : thread / 4 % kShares;
    const bool has_item = kShares == 1 || item < a.items;
    const Place p = place_of(a, has_item ? item : 0);
    for (uint32_t row = p.first_row; row < p.end_row; ++row) {
      Accumulator all;
      each_in_window<kWindow>(a, p, row, share, kShares, outside,
                              [&all](const Pack<W, T>& x, uint32_t tap) { all.take(x, tap); });
      if constexpr (kShares > 1) {
        for (int distance = 4; distance < 32; distance *= 2) all.join(distance);
        if (share > 0 || !has_item) continue;
      }
      finish(all, offset_of(a.y_strides, p.n, p.c, p.plane, row, p.column));
    }
  }
}

// The bits of a value that is never above another.
__device__ inline uint32_t lowest_bits(float) { return 0xFF800000; }
__device__ inline uint32_t lowest_bits(Bf16) { return 0xFF80; }
__device__ inline uint32_t lowest_bits(F16) { return 0xFC00; }

template <typename T, int W, typename Winner, int kWindow, int kShares>
__global__ void __launch_bounds__(kBlockThreads) max_pool(const __grid_constant__ PackedPool a) {
  const auto outside = pack_of_all<T, W>(lowest_bits(T{}));
  each_output<Maximum<W>, kWindow, kShares>(a, outside, [&a](const Maximum<W>& all, uint32_t at) {
    store_floats<T>(a.y, at, all.best);
    Pack<W, Winner> winners;
#pragma unroll
    for (int w = 0; w < W; ++w) winners.set_bits(w, static_cast<Winner>(all.winner[w]));
    store_pack(a.winner, at, winners);
  });
}

template <typename T, int W, int kWindow, int kShares>
__global__ void __launch_bounds__(kBlockThreads) sum_pool(const __grid_constant__ PackedPool a) {
  each_output<Sum<W>, kWindow, kShares>(a, pack_of_all<T, W>(0), [&a](const Sum<W>& all, uint32_t at) {
    if (a.y_type == ElementType::kF32) {
      store_floats<float>(a.y, at, all.sum);
    } else {
      store_floats<T>(a.y, at, all.sum);
    }
  });
}

// Calls gather(place, row, sums) for every pack of x and stores the sums.
template <typename T, int W, typename Gather>
__device__ inline void each_input(const PackedPool& a, const Gather& gather) {
  for (uint32_t item = first_item(); item < a.items; item += item_stride()) {
    const Place p = place_of(a, item);
    for (uint32_t row = p.first_row; row < p.end_row; ++row) {
      float sums[W] = {};
      gather(p, row, sums);
      store_floats<T>(a.x, offset_of(a.x_strides, p.n, p.c, p.plane, row, p.column), sums);
    }
  }
}

template <typename T, int W, typename Winner, int kCount>
__global__ void __launch_bounds__(kBlockThreads) max_pool_gradient(const __grid_constant__ PackedPool a) {
  each_input<T, W>(a, [&a](const Place& p, uint32_t row, float(&sums)[W]) {
    Pack<W, T> gradients[kLoads<kCount>];
    Pack<W, Winner> winners[kLoads<kCount>];
    const auto load = [&](int i, bool inside, uint32_t at) {
      gradients[i] = {};
      winners[i] = {};
      load_if(inside, a.y, at, &gradients[i]);
      load_if(inside, a.winner, at, &winners[i]);
    };
    each_window_over<kCount>(a, p, row, load, [&](int i, uint32_t tap) {
      const uint32_t repeated = sizeof(Winner) == 1 ? tap * 0x01010101u : tap;
#pragma unroll
      for (int w = 0; w < W; ++w) {
        if (winners[i].is(w, repeated)) sums[w] += value_of(gradients[i], w);
      }
    });
  });
}

template <typename T, int W, int kCount>
__global__ void __launch_bounds__(kBlockThreads) sum_pool_gradient(const __grid_constant__ PackedPool a) {
  each_input<T, W>(a, [&a](const Place& p, uint32_t row, float(&sums)[W]) {
    Pack<W, T> gradients[kLoads<kCount>];
    const auto load = [&](int i, bool inside, uint32_t at) {
      gradients[i] = {};
      load_if(inside, a.y, at, &gradients[i]);
    };
    each_window_over<kCount>(a, p, row, load, [&](int i, uint32_t) {
#pragma unroll
      for (int w = 0; w < W; ++w) sums[w] += value_of(gradients[i], w);
    });
  });
}

using PoolKernel = void (*)(PackedPool);

// Calls choose(T{}) with the element type.
template <typename Choose>
PoolKernel of_type(ElementType type, const Choose& choose) {
  return type == ElementType::kF32 ? choose(0.0f) : type == ElementType::kBF16 ? choose(Bf16{}) : choose(F16{});
}

template <typename T>
constexpr int kFull = kPackBytes / static_cast<int>(sizeof(T));

// The side of a window of an image if it is a square, or 0.
uint32_t side_of_window(const PackedPool& a) { return a.kernel[1] == a.kernel[2] ? a.kernel[1] : 0; }
// The most windows over an input along an axis of an image.
uint32_t windows_over(const PackedPool& a) {
  const auto along = [&a](int axis) { return (a.kernel[axis] + a.stride[axis].value - 1) / a.stride[axis].value; };
  return along(1) > along(2) ? along(1) : along(2);
}

}  // namespace

cudaError_t launch_max_pool(const PoolArguments& arguments, cudaStream_t stream) {
  const PackedPool a = packed_pool(arguments, false);
  const PoolKernel kernel = of_type(arguments.type, [&](auto of) -> PoolKernel {
    using T = decltype(of);
    constexpr int kShares = kWindowShares;
    if (arguments.wide_winners)
      return a.shares > 1 ? max_pool<T, 1, int32_t, 0, kShares> : max_pool<T, 1, int32_t, 0, 1>;
    if (a.width == 1) return a.shares > 1 ? max_pool<T, 1, uint8_t, 0, kShares> : max_pool<T, 1, uint8_t, 0, 1>;
    if (a.shares > 1) return max_pool<T, kFull<T>, uint8_t, 0, kShares>;
    switch (side_of_window(a)) {
      case 2: return max_pool<T, kFull<T>, uint8_t, 2, 1>;
      case 3: return max_pool<T, kFull<T>, uint8_t, 3, 1>;
      default: return max_pool<T, kFull<T>, uint8_t, 0, 1>;
    }
  });
  return launch_kernel(kernel, grid_of_elements(a.threads), a, stream);
}

cudaError_t launch_max_pool_gradient(const PoolArguments& arguments, cudaStream_t stream) {
  const PackedPool a = packed_pool(arguments, true);
  const PoolKernel kernel = of_type(arguments.type, [&](auto of) -> PoolKernel {
    using T = decltype(of);
    if (arguments.wide_winners) return max_pool_gradient<T, 1, int32_t, 0>;
    if (a.width == 1) return max_pool_gradient<T, 1, uint8_t, 0>;
    switch (windows_over(a)) {
      case 1: return max_pool_gradient<T, kFull<T>, uint8_t, 1>;
      case 2: return max_pool_gradient<T, kFull<T>, uint8_t, 2>;
      case 3: return max_pool_gradient<T, kFull<T>, uint8_t, 3>;
      default: return max_pool_gradient<T, kFull<T>, uint8_t, 0>;
    }
  });
  return launch_kernel(kernel, grid_of_elements(a.threads), a, stream);
}

cudaError_t launch_sum_pool(const PoolArguments& arguments, cudaStream_t stream) {
  const PackedPool a = packed_pool(arguments, false);
  const PoolKernel kernel = of_type(arguments.type, [&](auto of) -> PoolKernel {
    using T = decltype(of);
    constexpr int kShares = kWindowShares;
    if (a.width == 1) return a.shares > 1 ? sum_pool<T, 1, 0, kShares> : sum_pool<T, 1, 0, 1>;
    if (a.shares > 1) return sum_pool<T, kFull<T>, 0, kShares>;
    return side_of_window(a) == 3 ? sum_pool<T, kFull<T>, 3, 1> : sum_pool<T, kFull<T>, 0, 1>;
  });
  return launch_kernel(kernel, grid_of_elements(a.threads), a, stream);
}

cudaError_t launch_sum_pool_gradient(const PoolArguments& arguments, cudaStream_t stream) {
  const PackedPool a = packed_pool(arguments, true);
  const PoolKernel kernel = of_type(arguments.type, [&](auto of) -> PoolKernel {
    using T = decltype(of);
    if (a.width == 1) return sum_pool_gradient<T, 1, 0>;
    switch (windows_over(a)) {
      case 1: return sum_pool_gradient<T, kFull<T>, 1>;
      case 2: return sum_pool_gradient<T, kFull<T>, 2>;
      default: return sum_pool_gradient<T, kFull<T>, 0>;
    }
  });
  return launch_kernel(kernel, grid_of_elements(a.threads), a, stream);
}

}  // namespace trainer::cuda
