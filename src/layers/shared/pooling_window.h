// The window of Pooling: kernel, stride and pad for height and width, and the output size.
#pragma once

#include "layers/layer.h"

namespace trainer {

struct PoolingWindow {
  PoolAttributes attributes;         // height, width
  std::vector<int64_t> output_size;  // height, width
};

// Reads pooling_param; fails if its fields contradict each other or if bottom 0 does not have 4 axes.
PoolingWindow pooling_window(LayerContext& context);

// Caffe's number of windows along one axis, rounded up or down. With any padding, a last window that would begin after
// the input and the padding before it is left out. The result is less than 1 if the kernel does not fit.
int64_t pooled_extent(int64_t input, int64_t kernel, int64_t stride, int64_t pad, bool round_up, bool any_pad);

}  // namespace trainer
