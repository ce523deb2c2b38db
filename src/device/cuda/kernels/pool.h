// kMaxPool, kMaxPoolGradient, kSumPool and kSumPoolGradient.
#pragma once

#include "device/cuda/kernels/pack_layout.h"

namespace trainer::cuda {

// The pools read x [N,C,in] and write y [N,C,out]. The gradients read y and write x: each element of x gathers from the
// windows that contain it. Windows are clipped to the input.
//
// The first maximum of a window in row-major order is the winner; NaN never is. For a window without an element above
// -FLT_MAX the result is -FLT_MAX and there is no winner (255 as u8, -1 as s32).
struct PoolArguments {
  int64_t batch = 0, channels = 0;
  Windows windows;
  ElementType type = ElementType::kF32;    // of x; also of y, except in kSumPool
  ElementType y_type = ElementType::kF32;  // kSumPool: the type of x, or f32 for a 16-bit x
  bool wide_winners = false;               // s32 instead of u8
  void* x = nullptr;
  void* y = nullptr;
  void* winner = nullptr;  // max pools only, with the strides of y: the row-major offset within the window
  Strides x_strides, y_strides;
};

// A pool as its kernels take it. An item is a pack of channels in one column and up to `run` rows of the result. Items
// that follow each other are neighbors along the channels, and then along the row.
struct PackedPool {
  void *x = nullptr, *y = nullptr, *winner = nullptr;
  ElementType y_type = ElementType::kF32;
  int width = 1;   // of a pack
  int shares = 1;  // threads that share the rows of a window
  uint32_t items = 0, threads = 0, rows = 0, run = 1;
  Divisor packs, columns, runs, planes;  // the items of the result along each axis
  uint32_t in[3], out[3], kernel[3], pad[3];
  Divisor stride[3];
  PackStrides x_strides, y_strides;
};

constexpr int kWindowShares = 8;  // of the threads of a warp

// Threads that keep a large GPU busy.
constexpr int64_t kFewThreads = 1 << 16, kManyThreads = 1 << 18;

inline PackedPool packed_pool(const PoolArguments& a, bool gradient) {
  const Windows& w = a.windows;
  const int64_t(&extents)[3] = gradient ? w.in : w.out;
  PackedPool p;
  p.x = a.x;
  p.y = a.y;
  p.winner = a.winner;
  p.y_type = a.y_type;
  const PackedTensor x{a.x, a.type, a.x_strides, w.in}, y{a.y, a.y_type, a.y_strides, w.out},
      winner{a.winner, ElementType::kU8, a.y_strides, w.out};
  p.width = a.wide_winners ? 1 : pack_width(a.type, a.channels, x, y, winner);
  p.x_strides = pack_strides(a.x_strides, p.width);
  p.y_strides = pack_strides(a.y_strides, p.width);
  for (int axis = 0; axis < 3; ++axis) {
    p.in[axis] = static_cast<uint32_t>(w.in[axis]);
    p.out[axis] = static_cast<uint32_t>(w.out[axis]);
    p.kernel[axis] = static_cast<uint32_t>(w.kernel[axis]);
    p.pad[axis] = static_cast<uint32_t>(w.pad[axis]);
    p.stride[axis] = divisor_of(w.stride[axis]);
  }
  // The windows of a run overlap, so that most of their elements come from the caches.
  const int64_t packs = a.channels / p.width, results = a.batch * packs * count_of(extents);
  int64_t run = w.kernel[1] > w.stride[1] ? results / kManyThreads : 1;
  run = run < 1 ? 1 : run > 8 ? 8 : run;
  const int64_t runs = ceil_div(extents[1], run);
  p.rows = static_cast<uint32_t>(extents[1]);
  p.run = static_cast<uint32_t>(run);
  p.packs = divisor_of(packs);
  p.columns = divisor_of(extents[2]);
  p.runs = divisor_of(runs);
  p.planes = divisor_of(extents[0]);
  p.items = p.threads = static_cast<uint32_t>(a.batch * packs * extents[0] * runs * extents[2]);
  if (!gradient && p.items <= kFewThreads && w.kernel[0] * w.kernel[1] > kWindowShares / 2) {
    p.shares = kWindowShares;
    p.threads = (p.items + 3) / 4 * 4 * kWindowShares;
  }
  return p;
}

PoolArguments pool_arguments(const OpInstance& instance, const Addresses& at);

cudaError_t launch_max_pool(const PoolArguments& arguments, cudaStream_t stream);
cudaError_t launch_max_pool_gradient(const PoolArguments& arguments, cudaStream_t stream);
cudaError_t launch_sum_pool(const PoolArguments& arguments, cudaStream_t stream);
cudaError_t launch_sum_pool_gradient(const PoolArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
