// Depthwise convolution over channels-last images: each output channel reads one input channel. kConvolution,
// kConvolutionInputGradient and kConvolutionWeightGradient.
#pragma once

#include "device/cuda/kernels/convolution.h"
#include "device/cuda/kernels/pack_layout.h"

namespace trainer::cuda {

// A block has `lanes` packs of channels times `slots` units. A unit is a pack in one column and up to kRowsOfUnit rows
// of the result, or of y for the weight gradient. The units are split into `parts`, and the channels into blocks of
// `lanes` packs; a work item is a part of a block of channels and, for the weight gradient, of kTapsAtOnce taps.
struct PackedDepthwise {
  void *x = nullptr, *w = nullptr, *y = nullptr;
  const float* bias = nullptr;
  float* partial = nullptr;  // [parts, channels, taps], or null if there is one part
  ElementType w_type = ElementType::kF32;
  ReluEpilogue epilogue;
  int width = 1;
  uint32_t in[3], out[3], pad[3], dilation[3], w_taps[3];  // w_taps: the strides of w along a filter
  Divisor kernel[3], stride[3], taps;
  uint32_t w_channels = 0;  // the stride of w along the channels
  PackStrides x_strides, y_strides;
  uint32_t channels = 0, packs = 0, rows = 0;
  Divisor columns, runs, planes;
  uint32_t units = 0, parts = 1, lanes = 1, slots = 1, items = 0;
  Divisor channel_blocks, tap_groups;
};

constexpr int kRowsOfUnit = 4, kRowsOfGradientUnit = 8, kTapsAtOnce = 9;
constexpr int64_t kMaxLanes = 32;
// A block holds the filters of its channels, with padding against bank conflicts: 3 * 3 taps of 32 packs.
constexpr int64_t kFilterPadding = 4, kFilterFloats = 9 * (8 * kMaxLanes + kFilterPadding);
// About 16 blocks for each multiprocessor of the largest GPUs, or 4 for the weight gradient, which uses more registers
// and adds the results of its parts.
constexpr int64_t kDepthwiseBlocks = 4096, kDepthwiseWeightBlocks = 512;

inline int64_t lanes_for_filters(int64_t taps, int64_t width) {
  const int64_t lanes = (kFilterFloats / taps - kFilterPadding) / width;
  return lanes < kMaxLanes ? lanes : kMaxLanes;
}
// Of a longer filter, the block does not hold one pack.
constexpr int64_t kMaxDepthwiseTaps = kFilterFloats / (8 + kFilterPadding);

inline PackedDepthwise packed_depthwise(const ConvolutionArguments& a, bool input_gradient, bool weight_gradient) {
  const Windows& w = a.windows;
  const int64_t(&extents)[3] = input_gradient ? w.in : w.out;
  const int64_t taps = count_of(w.kernel);
  PackedDepthwise p;
  p.x = a.x;
  p.w = a.w;
  p.y = a.y;
  p.bias = a.bias;
  p.w_type = a.w_type;
  p.epilogue = a.epilogue;
  p.width = pack_width(a.x_type, a.group, PackedTensor{a.x, a.x_type, a.x_strides, w.in},
                       PackedTensor{a.y, a.y_type, a.y_strides, w.out});
  for (int axis = 0; axis < 3; ++axis) {
    p.in[axis] = static_cast<uint32_t>(w.in[axis]);
    p.out[axis] = static_cast<uint32_t>(w.out[axis]);
    p.pad[axis] = static_cast<uint32_t>(w.pad[axis]);
    p.dilation[axis] = static_cast<uint32_t>(w.dilation[axis]);
    p.w_taps[axis] = static_cast<uint32_t>(a.w_strides.spatial[axis]);
    p.kernel[axis] = divisor_of(w.kernel[axis]);
    p.stride[axis] = divisor_of(w.stride[axis]);
  }
  p.taps = divisor_of(taps);
  p.w_channels = static_cast<uint32_t>(a.w_strides.n);
  p.x_strides = pack_strides(a.x_strides, p.width);
  p.y_strides = pack_strides(a.y_strides, p.width);
  const int64_t packs = a.group / p.width, run = weight_gradient ? kRowsOfGradientUnit : kRowsOfUnit;
  p.channels = static_cast<uint32_t>(a.group);
  p.packs = static_cast<uint32_t>(packs);
  p.rows = static_cast<uint32_t>(extents[1]);
  p.columns = divisor_of(extents[2]);
  p.runs = divisor_of(ceil_div(extents[1], run));
  p.planes = divisor_of(extents[0]);
  const int64_t units = a.batch * extents[0] * p.runs.value * extents[2];
  const int64_t channel_blocks = ceil_div(packs, weight_gradient ? kMaxLanes : lanes_for_filters(taps, p.width));
  const int64_t lanes = ceil_div(packs, channel_blocks), slots = kBlockThreads / lanes;
  const int64_t tap_groups = weight_gradient ? ceil_div(taps, kTapsAtOnce) : 1;
  // As many parts as there are blocks left, with equal numbers of units.
  const int64_t blocks = channel_blocks * tap_groups, groups = ceil_div(units, slots);
  const int64_t most = (weight_gradient ? kDepthwiseWeightBlocks : kDepthwiseBlocks) / blocks;
  const int64_t parts = most < 1 ? 1 : ceil_div(groups, ceil_div(groups, most));
  p.units = static_cast<uint32_t>(units);
  p.lanes = static_cast<uint32_t>(lanes);
  p.slots = static_cast<uint32_t>(slots);
  p.parts = static_cast<uint32_t>(parts);
  p.channel_blocks = divisor_of(channel_blocks);
  p.tap_groups = divisor_of(tap_groups);
  p.items = static_cast<uint32_t>(blocks * parts);
  if (weight_gradient && parts > 1) p.partial = a.partial;
  return p;
}

// Of the weight gradient's scratch memory.
inline int64_t depthwise_partial_floats(const ConvolutionArguments& a) {
  const PackedDepthwise p = packed_depthwise(a, false, true);
  return p.parts == 1 ? 0 : int64_t{p.parts} * p.channels * p.taps.value;
}

cudaError_t launch_depthwise(const ConvolutionArguments& arguments, cudaStream_t stream);
cudaError_t launch_depthwise_input_gradient(const ConvolutionArguments& arguments, cudaStream_t stream);
cudaError_t launch_depthwise_weight_gradient(const ConvolutionArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
