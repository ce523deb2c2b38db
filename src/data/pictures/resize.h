// Resizes pictures as OpenCV's cv::resize does with INTER_LINEAR, bit for bit.
#pragma once

#include <cstdint>
#include <vector>

#include "data/pictures/pixel_view.h"

namespace trainer {

// The largest side of a picture that is resized.
constexpr int kLargestSide = 32767;

// Returns height * width * window.channels bytes. All extents must be at least 1.
void resize_bilinear(const PixelWindow& window, int height, int width, std::vector<uint8_t>& out);

}  // namespace trainer
