// Unfolds the windows of images into the rows of a matrix, and back by summing.
//
// Channels-last columns are [place][tap][channel] and take `channels` of every pixel's `pixel_step` floats,
// over several images; row-major columns are [channel][tap][place] and take `channels` planes of one image.
#pragma once

#include <cstdint>

#include "runtime/windows.h"

namespace trainer::cpu {

void unfold_channels_last(int threads, const Windows& w, int64_t images, int64_t channels, int64_t pixel_step,
                          const float* x, float* columns);
// The transpose: every input pixel becomes the sum of its places in `columns`.
void fold_channels_last(int threads, const Windows& w, int64_t images, int64_t channels, int64_t pixel_step,
                        const float* columns, float* x);

void unfold_row_major(int threads, const Windows& w, int64_t channels, const float* x, float* columns);
void fold_row_major(int threads, const Windows& w, int64_t channels, const float* columns, float* x);

}  // namespace trainer::cpu
