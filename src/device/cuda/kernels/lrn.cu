// Local response normalization across channels and its gradient: one thread per element. The gradient takes two passes,
// so that each power is computed once.
#include "device/cuda/kernels/lrn.h"

#include "device/cuda/kernels/elements.h"
#include "device/cuda/kernels/launch.h"

namespace trainer::cuda {
namespace {

// The sum of term(i) over the channels i of [c - before, c + after].
template <typename Term>
__device__ inline float sum_around(const LrnArguments& a, int64_t c, int64_t before, int64_t after, const Term& term) {
  float sum = 0;
  const int64_t end = min64(a.channels, c + after + 1);
  for (int64_t i = max64(0, c - before); i < end; ++i) sum += term(i);
  return sum;
}

// s at an index.
template <typename T>
__device__ inline float denominator(const LrnArguments& a, const TensorIndex& p) {
  const int64_t before = (a.size - 1) / 2;
  const T* x = static_cast<const T*>(a.x) + offset_of(a.x_strides, p.n, 0, p.spatial);
  const float squares = sum_around(a, p.c, before, a.size - 1 - before, [&a, x](int64_t c) {
    const float value = to_float(x[c * a.x_strides.c]);
    return value * value;
  });
  return a.k + a.alpha / static_cast<float>(a.size) * squares;
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) lrn(const __grid_constant__ LrnArguments a) {
  const int64_t count = a.batch * a.channels * volume_of(a.extents);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex p = index_of(e, a.channels, a.extents, a.x_strides);
    const float x = to_float(static_cast<const T*>(a.x)[offset_of(a.x_strides, p)]);
    put(static_cast<T*>(a.result) + offset_of(a.result_strides, p), x * powf(denominator<T>(a, p), -a.beta));
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) lrn_products(const __grid_constant__ LrnArguments a) {
  const int64_t count = a.batch * a.channels * volume_of(a.extents);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex p = index_of(e, a.channels, a.extents, a.x_strides);
    const int64_t at = offset_of(a.x_strides, p);
    const float x = to_float(static_cast<const T*>(a.x)[at]);
    const float g = to_float(static_cast<const T*>(a.g)[offset_of(a.g_strides, p)]);
    a.products[at] = g * x * powf(denominator<T>(a, p), -a.beta - 1);
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) lrn_gradient(const __grid_constant__ LrnArguments a) {
  const int64_t count = a.batch * a.channels * volume_of(a.extents);
  const int64_t before = (a.size - 1) / 2;
  const float factor = 2 * a.alpha * a.beta / static_cast<float>(a.size);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex p = index_of(e, a.channels, a.extents, a.x_strides);
    const float x = to_float(static_cast<const T*>(a.x)[offset_of(a.x_strides, p)]);
    const float g = to_float(static_cast<const T*>(a.g)[offset_of(a.g_strides, p)]);
    const float* products = a.products + offset_of(a.x_strides, p.n, 0, p.spatial);
    const float sum = sum_around(a, p.c, a.size - 1 - before, before,
                                 [&a, products](int64_t c) { return products[c * a.x_strides.c]; });
    const float direct = g * powf(denominator<T>(a, p), -a.beta);
    put(static_cast<T*>(a.result) + offset_of(a.result_strides, p), direct - factor * x * sum);
  }
}

template <typename T>
cudaError_t launch_gradient(const LrnArguments& a, cudaStream_t stream) {
  const cudaError_t queued = launch_kernel(lrn_products<T>, grid_of_lrn(a), a, stream);
  return queued != cudaSuccess ? queued : launch_kernel(lrn_gradient<T>, grid_of_lrn(a), a, stream);
}

}  // namespace

cudaError_t launch_lrn(const LrnArguments& a, cudaStream_t stream) {
  switch (a.type) {
    case ElementType::kBF16: return launch_kernel(lrn<Bf16>, grid_of_lrn(a), a, stream);
    case ElementType::kF16: return launch_kernel(lrn<F16>, grid_of_lrn(a), a, stream);
    default: return launch_kernel(lrn<float>, grid_of_lrn(a), a, stream);
  }
}

cudaError_t launch_lrn_gradient(const LrnArguments& a, cudaStream_t stream) {
  switch (a.type) {
    case ElementType::kBF16: return launch_gradient<Bf16>(a, stream);
    case ElementType::kF16: return launch_gradient<F16>(a, stream);
    default: return launch_gradient<float>(a, stream);
  }
}

}  // namespace trainer::cuda
