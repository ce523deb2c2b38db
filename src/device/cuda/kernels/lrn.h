// kLrn and kLrnGradient.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

// s_c = k + alpha/size * sum of x^2 over the window of `size` channels around c, (size - 1) / 2 of them before c.
// kLrn:         y_c = x_c * s_c^-beta
// kLrnGradient: dx_c = g_c * s_c^-beta - 2 alpha beta / size * x_c * sum of g * x * s^(-beta - 1) over the channels
//               whose window contains c
struct LrnArguments {
  int64_t batch = 0, channels = 0;
  int64_t extents[3] = {1, 1, 1};
  int64_t size = 5;
  float alpha = 1, beta = 0.75f, k = 1;
  ElementType type = ElementType::kF32;  // of x, g and result
  const void* x = nullptr;
  const void* g = nullptr;  // kLrnGradient
  void* result = nullptr;   // y or dx
  Strides x_strides, g_strides, result_strides;
  // kLrnGradient: scratch memory for g * x * s^(-beta - 1), one float per element of x, with the strides of x.
  float* products = nullptr;
};

inline Grid grid_of_lrn(const LrnArguments& a) { return grid_of_elements(a.batch * a.channels * count_of(a.extents)); }

// For kLrnGradient, the caller sets `products`.
LrnArguments lrn_arguments(const OpInstance& instance, const Addresses& at);

cudaError_t launch_lrn(const LrnArguments& arguments, cudaStream_t stream);
cudaError_t launch_lrn_gradient(const LrnArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
