// An item of a batch as a picture for people.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/batch_feed.h"
#include "data/pictures/resample.h"

namespace trainer {

class ItemPicture {
 public:
  // The pixels of an item of shape 1 x C x H x W with 1 or 3 channels; means and factors are undone, and values outside
  // 0 to 255 clipped.
  ItemPicture(const Shape& shape, std::span<const float> values, const ItemColors& colors);

  // Lays a colour over the pixels of each class; class 0, which often is the background, has none.
  void overlay(std::span<const float> classes);
  // Valid as long as this object is not changed.
  PixelWindow window() const;

 private:
  int channels_, height_, width_;
  std::vector<uint8_t> pixels_;  // interleaved, blue first
};

}  // namespace trainer
