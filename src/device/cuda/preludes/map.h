// Functions of all generated maps: vector loads and stores, and reductions across threads.
#pragma once

namespace trainer::cuda {

enum { LANES = 32, THREADS = 256 };  // threads of a warp and of a block

template <int W, typename T>
struct alignas(W * sizeof(T)) Pack {
  T at[W];
};
template <int W, typename T>
__device__ inline Pack<W, T> load(const T* from) {
  return *reinterpret_cast<const Pack<W, T>*>(from);
}
template <int W, typename T>
__device__ inline void store(T* to, const float (&x)[W]) {
  Pack<W, T> pack;
  for (int w = 0; w < W; ++w) put(&pack.at[w], x[w]);
  *reinterpret_cast<Pack<W, T>*>(to) = pack;
}

__device__ inline int thread_of_block() { return static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x); }

template <typename Join, int W>
__device__ inline void begin(float (&s)[W]) {
  for (int w = 0; w < W; ++w) s[w] = Join::start();
}
// Reduces over a warp; all lanes get the result.
template <typename Join, typename T>
__device__ inline T join_warp(T s) {
  for (int lane = LANES / 2; lane > 0; lane /= 2) s = Join::join(s, __shfl_xor_sync(~0u, s, lane));
  return s;
}
// Reduces over a row of a block, which is a warp or the whole block. The first thread of the row gets the result.
template <typename Join, int W>
__device__ inline void join_lanes(float (&s)[W], float (&shared)[LANES]) {
  for (int w = 1; w < W; ++w) s[0] = Join::join(s[0], s[w]);
  s[0] = join_warp<Join>(s[0]);
  if (blockDim.x == LANES) return;
  if (threadIdx.x % LANES == 0) shared[threadIdx.x / LANES] = s[0];
  __syncthreads();
  for (int warp = 1; threadIdx.x == 0 && warp < THREADS / LANES; ++warp) s[0] = Join::join(s[0], shared[warp]);
  __syncthreads();
}
// Reduces each lane over the rows of a block. The first row gets the results.
template <typename Join, int W>
__device__ inline void join_rows(float (&s)[W], float (&shared)[W][THREADS]) {
  const int thread = thread_of_block();
  for (int w = 0; w < W; ++w) shared[w][thread] = s[w];
  __syncthreads();
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    for (int w = 0; threadIdx.y < half && w < W; ++w)
      shared[w][thread] = Join::join(shared[w][thread], shared[w][thread + half * blockDim.x]);
    __syncthreads();
  }
  for (int w = 0; w < W; ++w) s[w] = shared[w][thread];
}
// Reduces the partial results of one result with one warp.
template <typename Join>
__device__ inline float join_parts(const float* parts, long long count) {
  double all = Join::start();
  for (long long part = thread_of_block() % LANES; part < count; part += LANES)
    all = Join::join(all, static_cast<double>(parts[part]));
  return static_cast<float>(join_warp<Join>(all));
}

}  // namespace trainer::cuda
