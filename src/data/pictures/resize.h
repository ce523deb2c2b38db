// Resizes pictures as OpenCV's cv::resize does with INTER_LINEAR, bit for bit.
#pragma once

#include <cstdint>
#include <vector>

namespace trainer {

// A rectangle of interleaved 8-bit pixels inside a picture.
struct PixelWindow {
  const uint8_t* pixels = nullptr;  // of its upper left corner
  int channels = 0;                 // 1 to 4
  int height = 0;
  int width = 0;
  int64_t row_bytes = 0;  // distance between rows of the picture
};

// Returns height * width * window.channels bytes. All extents must be at least 1.
void resize_bilinear(const PixelWindow& window, int height, int width, std::vector<uint8_t>& out);

}  // namespace trainer
