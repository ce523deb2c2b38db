// kLrn and kLrnGradient.
#pragma once

#include "device/cuda/kernels/pack_layout.h"

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
};

inline Grid grid_of_lrn(const LrnArguments& a) { return grid_of_elements(a.batch * a.channels * count_of(a.extents)); }

// Dense channels-last tensors as the kernels by packs take them: an item is a pack.
struct PackedLrn {
  const void *x = nullptr, *g = nullptr;
  void* result = nullptr;
  float factor = 1, beta = 0.75f, k = 1;  // factor: alpha / size
  uint32_t items = 0;
  Divisor packs;  // of a pixel
};

// Whether the packs of a tensor follow each other in memory.
inline bool has_dense_packs(const LrnArguments& a, const void* data, const Strides& strides) {
  int64_t next = a.channels;
  for (int axis = 2; axis >= 0; --axis) {
    if (a.extents[axis] > 1 && strides.spatial[axis] != next) return false;
    next *= a.extents[axis];
  }
  return (a.batch == 1 || strides.n == next) &&
         pack_width(a.type, a.channels, PackedTensor{data, a.type, strides, a.extents}) > 1;
}
inline int64_t packs_of_lrn(const LrnArguments& a) {
  return a.batch * a.channels * count_of(a.extents) * bytes_of(a.type) / kPackBytes;
}
inline bool is_lrn_by_packs(const LrnArguments& a) {
  return (a.size == 3 || a.size == 5) && packs_of_lrn(a) <= INT32_MAX && has_dense_packs(a, a.x, a.x_strides) &&
         has_dense_packs(a, a.result, a.result_strides) && (a.g == nullptr || has_dense_packs(a, a.g, a.g_strides));
}
inline PackedLrn packed_lrn(const LrnArguments& a) {
  PackedLrn p;
  p.x = a.x;
  p.g = a.g;
  p.result = a.result;
  p.factor = a.alpha / static_cast<float>(a.size);
  p.beta = a.beta;
  p.k = a.k;
  p.items = static_cast<uint32_t>(packs_of_lrn(a));
  p.packs = divisor_of(a.channels * bytes_of(a.type) / kPackBytes);
  return p;
}

LrnArguments lrn_arguments(const OpInstance& instance, const Addresses& at);

cudaError_t launch_lrn(const LrnArguments& arguments, cudaStream_t stream);
cudaError_t launch_lrn_gradient(const LrnArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
