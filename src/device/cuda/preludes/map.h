// What all generated maps use: neighbours read and written together.
#pragma once

namespace trainer::cuda {

enum { LANES = 32, ROWS = 8 };

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

}  // namespace trainer::cuda
