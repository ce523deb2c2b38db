// The window of Pooling: kernel, stride and pad of height and width, and the size of the result.
#pragma once

#include "layers/layer.h"

namespace trainer {

struct PoolingWindow {
  PoolAttributes attributes;         // height, width
  std::vector<int64_t> output_size;  // height, width
};

// From pooling_param and bottom 0, which must have 4 axes; checks the fields against each other.
PoolingWindow pooling_window(LayerContext& context);

// Caffe's number of windows along one axis: rounded up or down; with any padding, a window that would begin
// beyond the input and its first padding is left out. May be less than 1 where the kernel is larger than the
// input.
int64_t pooled_extent(int64_t input, int64_t kernel, int64_t stride, int64_t pad, bool round_up, bool any_pad);

}  // namespace trainer
