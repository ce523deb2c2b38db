// Functions of all generated maps: vector loads and stores, and reductions across the threads of a block and across
// blocks.
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
// Joins partial results, which lie `stride` floats apart: those of `first`, `first` + `step`, ...
template <typename Join, int W>
__device__ inline void join_parts(const float* parts, long long stride, int count, int first, int step, float (&s)[W]) {
  begin<Join>(s);
#pragma unroll 4
  for (int part = first; part < count; part += step) {
    const Pack<W, float> pack = load<W>(parts + part * stride);
    for (int w = 0; w < W; ++w) s[w] = Join::join(s[w], pack.at[w]);
  }
}
// Whether this block is the last of `count` that call this with a counter, which is 0 before and after. All threads of
// the block call it. The last block sees what the others wrote before their calls.
__device__ inline bool is_last(unsigned* counter, long long count) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (thread_of_block() == 0) {
    last = atomicAdd(counter, 1u) == count - 1;
    if (last) *counter = 0;
    __threadfence();
  }
  __syncthreads();
  return last;
}

}  // namespace trainer::cuda
