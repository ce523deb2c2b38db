// Arguments of kConvolution, kConvolutionInputGradient and kConvolutionWeightGradient.
#pragma once

#include "device/cuda/kernels/product_grid.h"

namespace trainer::cuda {

// x [N,C,in], w [O,C/group,kernel], y [N,O,out]; each of them the tensor or its gradient.
//   kConvolution                 x, w, bias [O] or null -> y with the epilogue
//   kConvolutionInputGradient    y, w, bias [C] or null -> x with the epilogue
//   kConvolutionWeightGradient   x, y -> w, without bias and epilogue
// Sums are floats; element types may differ.
struct ConvolutionArguments {
  int64_t batch = 0, group = 1;
  int64_t inputs = 0, outputs = 0;  // channels of one group
  Windows windows;
  ReluEpilogue epilogue;
  void* x = nullptr;
  void* w = nullptr;
  void* y = nullptr;
  const float* bias = nullptr;
  ElementType x_type = ElementType::kF32, w_type = ElementType::kF32, y_type = ElementType::kF32;
  Strides x_strides, w_strides, y_strides;  // w's: n for O, c for C/group
  // kConvolutionWeightGradient: scratch of partial_floats(); null where that is 0.
  float* partial = nullptr;
};

// Groups with fewer channels on the side of the result would leave most of a tile idle: each of their elements is
// summed by a thread of its own (of the weight gradient, by threads that share an element).
constexpr int64_t kLeastTiledChannels = 8;

inline int64_t filter_of(const ConvolutionArguments& a) { return a.inputs * count_of(a.windows.kernel); }
inline int64_t weights_of(const ConvolutionArguments& a) { return a.group * a.outputs * filter_of(a); }
// Places over the batch: what the weight gradient sums over.
inline int64_t output_places(const ConvolutionArguments& a) { return a.batch * count_of(a.windows.out); }

inline bool is_tiled(const ConvolutionArguments& a) { return a.outputs >= kLeastTiledChannels; }
inline bool is_input_gradient_tiled(const ConvolutionArguments& a) { return a.inputs >= kLeastTiledChannels; }

inline Grid grid_of_convolution(const ConvolutionArguments& a) {
  return is_tiled(a) ? grid_of_product(a.group, output_places(a), a.outputs)
                     : grid_of_elements(output_places(a) * a.group * a.outputs);
}
inline Grid grid_of_input_gradient(const ConvolutionArguments& a) {
  const int64_t places = a.batch * count_of(a.windows.in);
  return is_input_gradient_tiled(a) ? grid_of_product(a.group, places, a.inputs)
                                    : grid_of_elements(places * a.group * a.inputs);
}

// Threads of a block that share an element of a narrow weight gradient lie along y; neighbours along x take
// neighbouring outputs where those are dense.
inline Grid narrow_weight_gradient_block(const ConvolutionArguments& a) {
  const int outputs = a.y_strides.c == 1 && a.group * a.outputs > 1 ? 32 : 1;
  return {0, outputs, kBlockThreads / outputs};
}
inline int64_t weight_gradient_blocks_of_part(const ConvolutionArguments& a) {
  return is_tiled(a) ? a.group * tiles_of_product(a.outputs, filter_of(a))
                     : ceiling_of(a.group * a.outputs, narrow_weight_gradient_block(a).x) * filter_of(a);
}

// Into how many parts the sums of a weight gradient are cut, so that there are blocks for all multiprocessors. The
// parts are added in their sequence.
inline int64_t weight_gradient_parts(const ConvolutionArguments& a) {
  constexpr int64_t kWantedBlocks = 512, kLeastPlaces = 1024, kMostParts = 64;
  const int64_t blocks = weight_gradient_blocks_of_part(a);
  int64_t parts = blocks == 0 ? 1 : kWantedBlocks / blocks;
  if (parts > output_places(a) / kLeastPlaces) parts = output_places(a) / kLeastPlaces;
  return parts < 1 ? 1 : parts > kMostParts ? kMostParts : parts;
}
inline int64_t partial_floats(const ConvolutionArguments& a) {
  const int64_t parts = weight_gradient_parts(a);
  return parts == 1 ? 0 : parts * weights_of(a);
}
inline Grid grid_of_weight_gradient(const ConvolutionArguments& a) {
  const Grid block = is_tiled(a) ? Grid{0, kBlockThreads, 1} : narrow_weight_gradient_block(a);
  return grid_of(weight_gradient_parts(a) * weight_gradient_blocks_of_part(a), block.x, block.y);
}

}  // namespace trainer::cuda
