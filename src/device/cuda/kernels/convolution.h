// kConvolution, kConvolutionInputGradient and kConvolutionWeightGradient.
#pragma once

#include "device/cuda/kernels/product_grid.h"

namespace trainer::cuda {

// x [N,C,in], w [O,C/group,kernel], y [N,O,out]: each is the tensor or its gradient.
//   kConvolution                 x, w, bias [O] or null -> y with the epilogue
//   kConvolutionInputGradient    y, w, bias [C] or null -> x with the epilogue
//   kConvolutionWeightGradient   x, y -> w, without bias and epilogue
// Sums are f32; element types may differ.
struct ConvolutionArguments {
  int64_t batch = 0, group = 1;
  int64_t inputs = 0, outputs = 0;  // channels per group
  Windows windows;
  ReluEpilogue epilogue;
  void* x = nullptr;
  void* w = nullptr;
  void* y = nullptr;
  const float* bias = nullptr;
  ElementType x_type = ElementType::kF32, w_type = ElementType::kF32, y_type = ElementType::kF32;
  Strides x_strides, w_strides, y_strides;  // of w: n is O, c is C/group
  // kConvolutionWeightGradient: scratch memory of partial_floats(); null if that is 0.
  float* partial = nullptr;
};

// A group with fewer channels in the result would leave most of a tile idle. Then one thread computes each element of
// the result; several threads share an element of the weight gradient.
constexpr int64_t kMinTiledChannels = 8;

inline int64_t filter_of(const ConvolutionArguments& a) { return a.inputs * count_of(a.windows.kernel); }
inline int64_t weights_of(const ConvolutionArguments& a) { return a.group * a.outputs * filter_of(a); }
// Output positions of the whole batch: the weight gradient sums over them.
inline int64_t output_positions(const ConvolutionArguments& a) { return a.batch * count_of(a.windows.out); }

inline bool is_tiled(const ConvolutionArguments& a) { return a.outputs >= kMinTiledChannels; }
inline bool is_input_gradient_tiled(const ConvolutionArguments& a) { return a.inputs >= kMinTiledChannels; }

inline Grid grid_of_convolution(const ConvolutionArguments& a) {
  return is_tiled(a) ? grid_of_product(a.group, output_positions(a), a.outputs)
                     : grid_of_elements(output_positions(a) * a.group * a.outputs);
}
inline Grid grid_of_input_gradient(const ConvolutionArguments& a) {
  const int64_t positions = a.batch * count_of(a.windows.in);
  return is_input_gradient_tiled(a) ? grid_of_product(a.group, positions, a.inputs)
                                    : grid_of_elements(positions * a.group * a.inputs);
}

// The block of a narrow weight gradient: threads along y share an element, and threads along x compute neighboring
// outputs if these are dense.
inline Grid narrow_weight_gradient_block(const ConvolutionArguments& a) {
  const int outputs = a.y_strides.c == 1 && a.group * a.outputs > 1 ? 32 : 1;
  return {0, outputs, kBlockThreads / outputs};
}
inline int64_t weight_gradient_blocks_of_part(const ConvolutionArguments& a) {
  return is_tiled(a) ? a.group * tiles_of_product(a.outputs, filter_of(a))
                     : ceil_div(a.group * a.outputs, narrow_weight_gradient_block(a).x) * filter_of(a);
}

// The number of parts that the sums of a weight gradient are split into, so that all multiprocessors have blocks. The
// partial sums are added in a fixed order.
inline int64_t weight_gradient_parts(const ConvolutionArguments& a) {
  constexpr int64_t kTargetBlocks = 512, kMinPositions = 1024, kMaxParts = 64;
  const int64_t blocks = weight_gradient_blocks_of_part(a);
  int64_t parts = blocks == 0 ? 1 : kTargetBlocks / blocks;
  if (parts > output_positions(a) / kMinPositions) parts = output_positions(a) / kMinPositions;
  return parts < 1 ? 1 : parts > kMaxParts ? kMaxParts : parts;
}
inline int64_t partial_floats(const ConvolutionArguments& a) {
  const int64_t parts = weight_gradient_parts(a);
  return parts == 1 ? 0 : parts * weights_of(a);
}
inline Grid grid_of_weight_gradient(const ConvolutionArguments& a) {
  const Grid block = is_tiled(a) ? Grid{0, kBlockThreads, 1} : narrow_weight_gradient_block(a);
  return grid_of(weight_gradient_parts(a) * weight_gradient_blocks_of_part(a), block.x, block.y);
}

// The caller sets `partial`.
ConvolutionArguments convolution_arguments(const OpInstance& instance, const Addresses& at);

cudaError_t launch_convolution(const ConvolutionArguments& arguments, cudaStream_t stream);
cudaError_t launch_convolution_input_gradient(const ConvolutionArguments& arguments, cudaStream_t stream);
cudaError_t launch_convolution_weight_gradient(const ConvolutionArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
