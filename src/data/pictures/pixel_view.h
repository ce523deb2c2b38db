// Decoded pictures in memory: extents and pixels.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/shape.h"

namespace trainer {

struct ItemShape {
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;

  int64_t count() const { return saturating_product(saturating_product(channels, height), width); }
  bool operator==(const ItemShape& other) const {
    return channels == other.channels && height == other.height && width == other.width;
  }
  bool operator!=(const ItemShape& other) const { return !(*this == other); }
  std::string text() const;  // "3x32x32"
};

// One picture's values: planar (channels outermost) or interleaved (innermost), 8-bit or float.
struct PixelView {
  ItemShape shape;
  const uint8_t* bytes = nullptr;  // exactly one of the two is set
  const float* floats = nullptr;
  bool interleaved = false;
  // Pixels are those of the picture at 1/reduction of `shape`, whose extents are rounded up. 1, 2, 4 or 8.
  int reduction = 1;
};

// A rectangle of interleaved 8-bit pixels inside a picture.
struct PixelWindow {
  const uint8_t* pixels = nullptr;  // of its upper left corner
  int channels = 0;                 // 1 to 4
  int height = 0;
  int width = 0;
  int64_t row_bytes = 0;  // distance between rows of the picture
};

}  // namespace trainer
