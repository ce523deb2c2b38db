// Local response normalization across channels and its gradient.
//
// By packs, for the usual sizes of windows: a thread computes a pack of channels and also reads the packs before and
// after it, which the neighboring threads have brought into the cache. It repeats the powers of up to 2 * (size - 1)
// channels of these packs. By elements: a thread computes one element by the definition.
#include "device/cuda/kernels/lrn.h"

#include "device/cuda/kernels/launch.h"
#include "device/cuda/kernels/packs.h"

namespace trainer::cuda {
namespace {

struct Powers {
  float minus_beta, minus_beta_1;  // s^-beta and s^(-beta - 1)
};
__device__ inline Powers powers_of(float s, float beta) {
  if (beta == 0.75f) {
    const float root = rsqrtf(s), power = root * sqrtf(root);
    return {power, power * root * root};
  }
  const float power = powf(s, -beta);
  return {power, power / s};
}

// The pack of an item, and the packs before and after it in the same pixel, or zeros.
template <typename T, int W>
struct Neighbors {
  Pack<W, T> packs[3];
  bool has_before, has_after;

  __device__ Neighbors(const PackedLrn& a, const void* from, uint32_t item) : packs{} {
    const uint32_t c = item - divide(item, a.packs) * a.packs.value;
    has_before = c > 0;
    has_after = c + 1 < a.packs.value;
    load_if(has_before, from, item - 1, &packs[0]);
    load_if(true, from, item, &packs[1]);
    load_if(has_after, from, item + 1, &packs[2]);
  }
  // The value of channel i in [-W, 2 * W) from the first channel of the item.
  __device__ float at(int i) const { return value_of(packs[(i + W) / W], (i + W) % W); }
  __device__ bool has(int i) const { return i < 0 ? has_before : i < W || has_after; }
};

// s of the channels [first, first + kCount) from the first channel of the item.
template <int kSize, int kCount, typename T, int W>
__device__ inline void denominators(const PackedLrn& a, const Neighbors<T, W>& x, int first, float (&s)[kCount]) {
  float squares[kCount + kSize - 1];
#pragma unroll
  for (int i = 0; i < kCount + kSize - 1; ++i) {
    const float value = x.at(first - (kSize - 1) / 2 + i);
    squares[i] = value * value;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    float sum = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) sum += squares[i + j];
    s[i] = a.k + a.factor * sum;
  }
}

template <typename T, int kSize>
__global__ void __launch_bounds__(kBlockThreads) lrn_by_packs(const __grid_constant__ PackedLrn a) {
  constexpr int W = kPackBytes / static_cast<int>(sizeof(T));
  for (uint32_t item = first_item(); item < a.items; item += item_stride()) {
    const Neighbors<T, W> x(a, a.x, item);
    float s[W];
    denominators<kSize>(a, x, 0, s);
#pragma unroll
    for (int i = 0; i < W; ++i) s[i] = x.at(i) * powers_of(s[i], a.beta).minus_beta;
    store_floats<T>(a.result, item, s);
  }
}

template <typename T, int kSize>
__global__ void __launch_bounds__(kBlockThreads) lrn_gradient_by_packs(const __grid_constant__ PackedLrn a) {
  constexpr int W = kPackBytes / static_cast<int>(sizeof(T)), kBefore = (kSize - 1) / 2, kAfter = kSize - 1 - kBefore;
  static_assert(kSize - 1 <= W);
  for (uint32_t item = first_item(); item < a.items; item += item_stride()) {
    const Neighbors<T, W> x(a, a.x, item), g(a, a.g, item);
    float s[W + kSize - 1], result[W];  // s of the channels whose window contains a channel of the item
    denominators<kSize>(a, x, -kAfter, s);
    // Replaces s by the products g * x * s^(-beta - 1).
#pragma unroll
    for (int i = 0; i < W + kSize - 1; ++i) {
      const int c = i - kAfter;
      const Powers powers = powers_of(s[i], a.beta);
      if (c >= 0 && c < W) result[c] = g.at(c) * powers.minus_beta;
      s[i] = x.has(c) ? g.at(c) * x.at(c) * powers.minus_beta_1 : 0;
    }
#pragma unroll
    for (int i = 0; i < W; ++i) {
      float sum = 0;
#pragma unroll
      for (int j = 0; j < kSize; ++j) sum += s[i + j];
      result[i] -= 2 * a.beta * a.factor * x.at(i) * sum;
    }
    store_floats<T>(a.result, item, result);
  }
}

// The sum of term(i) over the channels i of [c - before, c + after].
template <typename Term>
__device__ inline float sum_around(const LrnArguments& a, int64_t c, int64_t before, int64_t after, const Term& term) {
  float sum = 0;
  const int64_t end = min64(a.channels, c + after + 1);
  for (int64_t i = max64(0, c - before); i < end; ++i) sum += term(i);
  return sum;
}

// s of a channel; `x` is the address of channel 0.
template <typename T>
__device__ inline float denominator(const LrnArguments& a, const T* x, int64_t c) {
  const int64_t before = (a.size - 1) / 2;
  const float squares = sum_around(a, c, before, a.size - 1 - before, [&a, x](int64_t i) {
    const float value = to_float(x[i * a.x_strides.c]);
    return value * value;
  });
  return a.k + a.alpha / static_cast<float>(a.size) * squares;
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) lrn_by_elements(const __grid_constant__ LrnArguments a) {
  const int64_t count = a.batch * a.channels * volume_of(a.extents);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex p = index_of(e, a.channels, a.extents, a.x_strides);
    const T* x = static_cast<const T*>(a.x) + offset_of(a.x_strides, p.n, 0, p.spatial);
    const float power = powf(denominator(a, x, p.c), -a.beta);
    put(static_cast<T*>(a.result) + offset_of(a.result_strides, p), to_float(x[p.c * a.x_strides.c]) * power);
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) lrn_gradient_by_elements(const __grid_constant__ LrnArguments a) {
  const int64_t count = a.batch * a.channels * volume_of(a.extents);
  const int64_t before = (a.size - 1) / 2;
  const float factor = 2 * a.alpha * a.beta / static_cast<float>(a.size);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex p = index_of(e, a.channels, a.extents, a.x_strides);
    const T* x = static_cast<const T*>(a.x) + offset_of(a.x_strides, p.n, 0, p.spatial);
    const T* g = static_cast<const T*>(a.g) + offset_of(a.g_strides, p.n, 0, p.spatial);
    const float sum = sum_around(a, p.c, a.size - 1 - before, before, [&a, x, g](int64_t i) {
      return to_float(g[i * a.g_strides.c]) * to_float(x[i * a.x_strides.c]) * powf(denominator(a, x, i), -a.beta - 1);
    });
    const float direct = to_float(g[p.c * a.g_strides.c]) * powf(denominator(a, x, p.c), -a.beta);
    put(static_cast<T*>(a.result) + offset_of(a.result_strides, p),
        direct - factor * to_float(x[p.c * a.x_strides.c]) * sum);
  }
}

template <typename T>
cudaError_t launch(const LrnArguments& a, cudaStream_t stream) {
  if (!is_lrn_by_packs(a)) return launch_kernel(lrn_by_elements<T>, grid_of_lrn(a), a, stream);
  const PackedLrn packed = packed_lrn(a);
  return launch_kernel(a.size == 3 ? lrn_by_packs<T, 3> : lrn_by_packs<T, 5>, grid_of_elements(packed.items), packed,
                       stream);
}

template <typename T>
cudaError_t launch_gradient(const LrnArguments& a, cudaStream_t stream) {
  if (!is_lrn_by_packs(a)) return launch_kernel(lrn_gradient_by_elements<T>, grid_of_lrn(a), a, stream);
  const PackedLrn packed = packed_lrn(a);
  return launch_kernel(a.size == 3 ? lrn_gradient_by_packs<T, 3> : lrn_gradient_by_packs<T, 5>,
                       grid_of_elements(packed.items), packed, stream);
}

}  // namespace

cudaError_t launch_lrn(const LrnArguments& a, cudaStream_t stream) {
  switch (a.type) {
    case ElementType::kBF16: return launch<Bf16>(a, stream);
    case ElementType::kF16: return launch<F16>(a, stream);
    default: return launch<float>(a, stream);
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
