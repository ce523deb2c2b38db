// The part of a picture that an item shows, so that a decoder can leave out the rest.
#pragma once

#include <cstdint>

#include "data/pictures/pixel_view.h"

namespace trainer {

struct Rectangle {
  int64_t y = 0, x = 0, height = 0, width = 0;
};

struct PicturePart {
  PicturePart() = default;
  // The whole picture, as it is.
  explicit PicturePart(const ItemShape& picture) : pixels{0, 0, picture.height, picture.width} {}
  explicit PicturePart(const Rectangle& part) : pixels(part) {}

  Rectangle pixels;
  // The extents to which the part is resized; 0: it is not resized.
  int64_t height = 0, width = 0;

  // The largest of 1, 2, 4 and 8 by which the part may be reduced before it is resized: it stays at least twice as high
  // and as wide as the result.
  int reduction() const {
    int by = 1;
    while (height > 0 && by < 8 && pixels.height >= 4 * by * height && pixels.width >= 4 * by * width) by *= 2;
    return by;
  }
};

// Selects the part of a picture once its extents are known.
class PartChoice {
 public:
  virtual ~PartChoice() = default;
  // Throws data_error for a picture of other extents than the item needs.
  virtual PicturePart choose(const ItemShape& picture) = 0;
};

class WholePicture : public PartChoice {
 public:
  PicturePart choose(const ItemShape& picture) override { return PicturePart(picture); }
};

}  // namespace trainer
