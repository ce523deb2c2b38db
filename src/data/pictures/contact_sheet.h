// A picture of many small pictures with captions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/pictures/pixel_view.h"
#include "data/pictures/resample.h"

namespace trainer {

// Groups of pictures stand side by side, several in a line: each has a caption above it and its pictures below each
// other.
class ContactSheet {
 public:
  // For `groups` groups of `pictures` pictures of this size. Large pictures are shown smaller, small ones larger.
  ContactSheet(int groups, int pictures, int height, int width);

  // UTF-8; text that is longer than the group is wide ends in "..".
  void caption(int group, const std::string& text);
  // The window has 3 channels (blue, green, red) or 1, and the size of all pictures.
  void place(int group, int picture, const PixelWindow& window);
  std::string png() const;

 private:
  struct Corner {
    int64_t y, x;
  };
  Corner corner_of(int group) const;
  uint8_t* pixel(int64_t y, int64_t x) { return &pixels_[static_cast<size_t>((y * width_ + x) * 3)]; }

  int pictures_, tile_height_, tile_width_, per_line_;
  int64_t height_, width_;
  std::vector<uint8_t> pixels_, tile_;
  Resampler resampler_;
};

}  // namespace trainer
