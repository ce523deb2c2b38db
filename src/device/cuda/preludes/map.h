// What all maps use: neighbours read and written together, and how sums and maxima join.
#pragma once

#ifdef __CUDACC_RTC__
#define INFINITY __int_as_float(0x7f800000)
#endif

namespace trainer::cuda {

enum { LANES = 32, ROWS = 8 };

__device__ inline float to_float(int x) { return static_cast<float>(x); }
__device__ inline float to_float(unsigned char x) { return static_cast<float>(x); }

template <int W, typename T>
struct alignas(W * sizeof(T)) Pack {
  T at[W];
};
template <int W, typename T>
__device__ inline void load(float (&x)[W], const T* from) {
  const Pack<W, T> pack = *reinterpret_cast<const Pack<W, T>*>(from);
  for (int w = 0; w < W; ++w) x[w] = to_float(pack.at[w]);
}
template <int W, typename T>
__device__ inline void store(T* to, const float (&x)[W]) {
  Pack<W, T> pack;
  for (int w = 0; w < W; ++w) put(&pack.at[w], x[w]);
  *reinterpret_cast<Pack<W, T>*>(to) = pack;
}

template <typename T>
__device__ inline T join_max(T a, T b) {
  return a != a || a > b ? a : b;
}
template <typename T>
__device__ inline T join_sum(T a, T b) {
  return a + b;
}

}  // namespace trainer::cuda
