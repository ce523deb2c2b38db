// Max and sum pooling and their gradients: one thread per element of the result.
#include "device/cuda/kernels/pool.h"

#include <cfloat>

#include "device/cuda/kernels/elements.h"
#include "device/cuda/kernels/launch.h"

namespace trainer::cuda {
namespace {

struct Range {
  int64_t begin, end;
};

// The part of the window of output `o` inside the input, as offsets within the window.
__device__ inline Range taps_of(const Windows& w, int axis, int64_t o) {
  const int64_t first = o * w.stride[axis] - w.pad[axis];
  return {max64(0, -first), min64(w.kernel[axis], w.in[axis] - first)};
}

// The outputs whose window contains input `i`.
__device__ inline Range outputs_over(const Windows& w, int axis, int64_t i) {
  const int64_t last = i + w.pad[axis];  // the input's offset within window 0
  return {last < w.kernel[axis] ? 0 : (last - w.kernel[axis]) / w.stride[axis] + 1,
          min64(w.out[axis], last / w.stride[axis] + 1)};
}

// Calls body(value, tap) for the elements of the window of output `o`, in row-major order.
template <typename T, typename Body>
__device__ inline void each_in_window(const PoolArguments& a, const TensorIndex& o, const Body& body) {
  const Windows& w = a.windows;
  const Range planes = taps_of(w, 0, o.spatial.at[0]), rows = taps_of(w, 1, o.spatial.at[1]),
              columns = taps_of(w, 2, o.spatial.at[2]);
  Spatial corner;
  for (int axis = 0; axis < 3; ++axis) corner.at[axis] = o.spatial.at[axis] * w.stride[axis] - w.pad[axis];
  const int64_t base = offset_of(a.x_strides, o.n, o.c, corner);
  for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const int64_t line = base + plane * a.x_strides.spatial[0] + row * a.x_strides.spatial[1];
      const int64_t tap = (plane * w.kernel[1] + row) * w.kernel[2];
      for (int64_t column = columns.begin; column < columns.end; ++column)
        body(to_float(static_cast<const T*>(a.x)[line + column * a.x_strides.spatial[2]]), tap + column);
    }
  }
}

// Calls body(o, tap) for every output `o` whose window contains input `i` at offset `tap`.
template <typename Body>
__device__ inline void each_window_over(const PoolArguments& a, const TensorIndex& i, const Body& body) {
  const Windows& w = a.windows;
  const Range planes = outputs_over(w, 0, i.spatial.at[0]), rows = outputs_over(w, 1, i.spatial.at[1]),
              columns = outputs_over(w, 2, i.spatial.at[2]);
  const auto offset = [&w, &i](int axis, int64_t o) { return i.spatial.at[axis] + w.pad[axis] - o * w.stride[axis]; };
  TensorIndex o = i;
  for (o.spatial.at[0] = planes.begin; o.spatial.at[0] < planes.end; ++o.spatial.at[0]) {
    for (o.spatial.at[1] = rows.begin; o.spatial.at[1] < rows.end; ++o.spatial.at[1]) {
      const int64_t tap = (offset(0, o.spatial.at[0]) * w.kernel[1] + offset(1, o.spatial.at[1])) * w.kernel[2];
      for (o.spatial.at[2] = columns.begin; o.spatial.at[2] < columns.end; ++o.spatial.at[2])
        body(o, tap + offset(2, o.spatial.at[2]));
    }
  }
}

template <typename T, typename Winner>
__global__ void __launch_bounds__(kBlockThreads) max_pool(const __grid_constant__ PoolArguments a) {
  const int64_t count = a.batch * a.channels * volume_of(a.windows.out);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex o = index_of(e, a.channels, a.windows.out, a.y_strides);
    float best = -FLT_MAX;
    Winner winner = static_cast<Winner>(-1);
    each_in_window<T>(a, o, [&best, &winner](float value, int64_t tap) {
      if (value > best) {
        best = value;
        winner = static_cast<Winner>(tap);
      }
    });
    put(static_cast<T*>(a.y) + offset_of(a.y_strides, o), best);
    static_cast<Winner*>(a.winner)[offset_of(a.winner_strides, o)] = winner;
  }
}

template <typename T, typename Winner>
__global__ void __launch_bounds__(kBlockThreads) max_pool_gradient(const __grid_constant__ PoolArguments a) {
  const int64_t count = a.batch * a.channels * volume_of(a.windows.in);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex i = index_of(e, a.channels, a.windows.in, a.x_strides);
    float sum = 0;
    each_window_over(a, i, [&a, &sum](const TensorIndex& o, int64_t tap) {
      if (static_cast<const Winner*>(a.winner)[offset_of(a.winner_strides, o)] == static_cast<Winner>(tap))
        sum += to_float(static_cast<const T*>(a.y)[offset_of(a.y_strides, o)]);
    });
    put(static_cast<T*>(a.x) + offset_of(a.x_strides, i), sum);
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) sum_pool(const __grid_constant__ PoolArguments a) {
  const int64_t count = a.batch * a.channels * volume_of(a.windows.out);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex o = index_of(e, a.channels, a.windows.out, a.y_strides);
    float sum = 0;
    each_in_window<T>(a, o, [&sum](float value, int64_t) { sum += value; });
    store(a.y, a.y_type, offset_of(a.y_strides, o), sum);
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) sum_pool_gradient(const __grid_constant__ PoolArguments a) {
  const int64_t count = a.batch * a.channels * volume_of(a.windows.in);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex i = index_of(e, a.channels, a.windows.in, a.x_strides);
    float sum = 0;
    each_window_over(a, i, [&a, &sum](const TensorIndex& o, int64_t) {
      sum += to_float(static_cast<const T*>(a.y)[offset_of(a.y_strides, o)]);
    });
    put(static_cast<T*>(a.x) + offset_of(a.x_strides, i), sum);
  }
}

using PoolKernel = void (*)(PoolArguments);

// The kernel for an element type.
PoolKernel of_type(ElementType type, PoolKernel f32, PoolKernel bf16, PoolKernel f16) {
  return type == ElementType::kF32 ? f32 : type == ElementType::kBF16 ? bf16 : f16;
}

template <typename Winner>
PoolKernel max_pool_of(ElementType type) {
  return of_type(type, max_pool<float, Winner>, max_pool<Bf16, Winner>, max_pool<F16, Winner>);
}
template <typename Winner>
PoolKernel max_pool_gradient_of(ElementType type) {
  return of_type(type, max_pool_gradient<float, Winner>, max_pool_gradient<Bf16, Winner>,
                 max_pool_gradient<F16, Winner>);
}

}  // namespace

cudaError_t launch_max_pool(const PoolArguments& a, cudaStream_t stream) {
  const PoolKernel kernel = a.wide_winners ? max_pool_of<int32_t>(a.type) : max_pool_of<uint8_t>(a.type);
  return launch_kernel(kernel, grid_of_pool(a), a, stream);
}

cudaError_t launch_max_pool_gradient(const PoolArguments& a, cudaStream_t stream) {
  const PoolKernel kernel =
      a.wide_winners ? max_pool_gradient_of<int32_t>(a.type) : max_pool_gradient_of<uint8_t>(a.type);
  return launch_kernel(kernel, grid_of_pool_gradient(a), a, stream);
}

cudaError_t launch_sum_pool(const PoolArguments& a, cudaStream_t stream) {
  return launch_kernel(of_type(a.type, sum_pool<float>, sum_pool<Bf16>, sum_pool<F16>), grid_of_pool(a), a, stream);
}

cudaError_t launch_sum_pool_gradient(const PoolArguments& a, cudaStream_t stream) {
  return launch_kernel(of_type(a.type, sum_pool_gradient<float>, sum_pool_gradient<Bf16>, sum_pool_gradient<F16>),
                       grid_of_pool_gradient(a), a, stream);
}

}  // namespace trainer::cuda
