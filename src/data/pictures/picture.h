// The image of one record, and its mask if it has one, while the steps of augment change them.
#pragma once

#include <vector>

#include "data/pictures/blur.h"
#include "data/pictures/colors.h"
#include "data/pictures/jpeg_round_trip.h"
#include "data/pictures/pixel_buffer.h"
#include "data/pictures/resample.h"
#include "data/pictures/warp.h"

namespace trainer {

class Picture {
 public:
  // Begins with another image, whose pixels must stay until the next one. `mask` has one channel and the size of the
  // image: the class of each pixel. Its pixels that come from outside are `ignored`.
  void start(const PixelView& image);
  void start(const PixelView& image, const PixelView& mask, uint8_t ignored);

  ItemShape shape() const { return image_.shape(); }

  // Steps that move pixels act on the mask, too.
  void crop(const Rectangle& part);
  void flip_x();
  void flip_y();
  // The mask gets the nearest pixel.
  void resize(int64_t height, int64_t width, ResampleFilter filter);
  // Puts the image on a background of one value, with its upper left pixel at (y, x).
  void place(int64_t height, int64_t width, int64_t y, int64_t x, uint8_t fill);

  // Places outside the image get `fill`; the mask gets the nearest pixel.
  void warp(const WarpMap& map, bool bilinear, uint8_t fill);

  // For steps that change colors: the image in place. Throws data_error for other than 1 or 3 channels.
  ColorPixels colors();
  // See adjust_sharpness.
  void sharpen(float factor);
  // `kernel` is odd. Throws data_error for an image that is not larger than half of it.
  void blur(int kernel, double sigma);
  // As JPEG of this quality.
  void recompress(int quality);

  // The item is (pixel - mean[c]) * factor[c], with one value or one for each channel. Both must stay until write().
  void normalize(const std::vector<float>& mean, const std::vector<float>& factor) {
    mean_ = &mean;
    factor_ = &factor;
  }
  // A rectangle of the finished item that holds one value.
  struct Patch {
    int64_t y, x, height, width;
    float value;
  };
  void erase(const Patch& patch) { patches_.push_back(patch); }

  // Writes the item: channels in the order of the image, or the first three reversed.
  void write(bool reverse_channels, MemoryFormat order, float* out) const;
  void write_mask(float* out) const { trainer::write_mask(mask_.pixels(), mask_.window(), out); }

 private:
  PixelBuffer image_, mask_;
  bool has_mask_ = false;
  uint8_t ignored_ = 0;
  const std::vector<float>*mean_ = nullptr, *factor_ = nullptr;
  std::vector<Patch> patches_;
  Resampler resampler_;
  GaussianBlur blur_;
  JpegRoundTrip jpeg_;
  std::vector<uint8_t> scratch_;
};

}  // namespace trainer
