// Arguments of kMaxPool, kMaxPoolGradient, kSumPool and kSumPoolGradient.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

// The pools read x [N,C,in] and write y [N,C,out]; their gradients read y and write x, gathering from the windows that
// hold an element. Windows are clipped to the input.
//
// A window's first maximum in row-major sequence wins; NaN never does. A window without an element above -FLT_MAX gives
// -FLT_MAX and no winner (255, or -1 of s32).
struct PoolArguments {
  int64_t batch = 0, channels = 0;
  Windows windows;
  ElementType type = ElementType::kF32;    // of x, and of y but in kSumPool
  ElementType y_type = ElementType::kF32;  // where x is narrow, kSumPool makes sums of its type or of f32
  bool wide_winners = false;               // s32, not u8
  void* x = nullptr;
  void* y = nullptr;
  void* winner = nullptr;  // [N,C,out]: the row-major offset within the window; max pools only
  Strides x_strides, y_strides, winner_strides;
};

inline Grid grid_of_pool(const PoolArguments& a) {
  return grid_of_elements(a.batch * a.channels * count_of(a.windows.out));
}
inline Grid grid_of_pool_gradient(const PoolArguments& a) {
  return grid_of_elements(a.batch * a.channels * count_of(a.windows.in));
}

}  // namespace trainer::cuda
