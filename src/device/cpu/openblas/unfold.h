// Unfolds the windows of images into a matrix (im2col), and folds a matrix into images by summing (col2im).
//
// Channels-last columns are [position][tap][channel], of `channels` of the `pixel_step` floats of every pixel, for
// several images. Row-major columns are [channel][tap][position], of `channels` planes of one image.
#pragma once

#include <cstdint>

#include "runtime/windows.h"

namespace trainer::cpu {

void unfold_channels_last(int threads, const Windows& w, int64_t images, int64_t channels, int64_t pixel_step,
                          const float* x, float* columns);
// The transposed operation: every input pixel becomes the sum of its copies in `columns`.
void fold_channels_last(int threads, const Windows& w, int64_t images, int64_t channels, int64_t pixel_step,
                        const float* columns, float* x);

void unfold_row_major(int threads, const Windows& w, int64_t channels, const float* x, float* columns);
void fold_row_major(int threads, const Windows& w, int64_t channels, const float* columns, float* x);

}  // namespace trainer::cpu
