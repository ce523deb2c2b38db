// kMaxPool, kMaxPoolGradient, kSumPool and kSumPoolGradient.
#pragma once

#include "device/cuda/kernels/arguments.h"

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
  void* winner = nullptr;  // max pools only, [N,C,out]: the row-major offset within the window
  Strides x_strides, y_strides, winner_strides;
};

inline Grid grid_of_pool(const PoolArguments& a) {
  return grid_of_elements(a.batch * a.channels * count_of(a.windows.out));
}
inline Grid grid_of_pool_gradient(const PoolArguments& a) {
  return grid_of_elements(a.batch * a.channels * count_of(a.windows.in));
}

PoolArguments pool_arguments(const OpInstance& instance, const Addresses& at);

cudaError_t launch_max_pool(const PoolArguments& arguments, cudaStream_t stream);
cudaError_t launch_max_pool_gradient(const PoolArguments& arguments, cudaStream_t stream);
cudaError_t launch_sum_pool(const PoolArguments& arguments, cudaStream_t stream);
cudaError_t launch_sum_pool_gradient(const PoolArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
