// An image that steps change, with the memory of one worker. Extents and places are those of the image before it was
// reduced for decoding; a reduced image can only be cropped and resized.
//
// Crops and flips move no pixel: they change the window, which is applied when pixels are next read. Steps on pixels
// read one of two buffers and write the other.
#pragma once

#include <cstdint>
#include <vector>

#include "data/pictures/picture_part.h"
#include "data/pictures/resample.h"
#include "data/pictures/sampling.h"

namespace trainer {

class PixelBuffer {
 public:
  // Begins with another image, whose pixels must stay until the next one.
  void start(const PixelView& pixels);

  ItemShape shape() const { return {pixels_.shape.channels, window_.y.count, window_.x.count}; }
  const PixelView& pixels() const { return pixels_; }
  const Sampling& window() const { return window_; }

  void crop(const Rectangle& part);
  void flip_x() { window_.x.flip(); }
  void flip_y() { window_.y.flip(); }

  void resize(int64_t height, int64_t width, ResampleFilter filter, Resampler& resampler);
  // The bytes of the window, rows from the top. Throws data_error for an image of floats, or of more than 4 channels.
  PixelWindow bytes();
  // The same without gaps, in memory of this object, to be changed in place.
  uint8_t* own_bytes();
  // Calls draw(window, out) with the bytes and memory for an image of another size, which replaces the image.
  template <typename Draw>
  void redraw(int64_t height, int64_t width, const Draw& draw) {
    const PixelWindow from = bytes();
    draw(from, spare(height * width * from.channels));
    take_spare(height, width);
  }
  // Puts the image on a background of one value, with its upper left pixel at (y, x).
  void place(int64_t height, int64_t width, int64_t y, int64_t x, uint8_t fill);

 private:
  PixelWindow reduced_bytes(ResampledBox& box);
  uint8_t* spare(int64_t bytes);
  void take_spare(int64_t height, int64_t width);
  void copy_window();

  PixelView pixels_;
  Sampling window_;
  std::vector<uint8_t> buffers_[2];
  int current_ = -1;  // the buffer that holds the image; -1: the image is in memory of the caller
};

}  // namespace trainer
