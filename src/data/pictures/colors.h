// Changes of colors in place, with the formulas of torchvision.transforms.functional for tensors of bytes.
#pragma once

#include <cstdint>

namespace trainer {

// Interleaved bytes without gaps: grey (1 channel) or blue, green, red (3).
struct ColorPixels {
  uint8_t* bytes = nullptr;
  int channels = 0;
  int height = 0, width = 0;

  int64_t pixels() const { return int64_t{height} * width; }
  int64_t size() const { return pixels() * channels; }
};

// Each blends the image with another one: factor 0 gives that other image, 1 the image itself.
void adjust_brightness(const ColorPixels& image, float factor);  // black
void adjust_contrast(const ColorPixels& image, float factor);    // the mean grey
void adjust_saturation(const ColorPixels& image, float factor);  // the grey image
// The smoothed image, which is kept in `scratch`, as large as the image. The border stays.
void adjust_sharpness(const ColorPixels& image, float factor, uint8_t* scratch);

// Turns hues by a part of the circle, -0.5 to 0.5.
void adjust_hue(const ColorPixels& image, float turn);
// All channels become the grey value.
void make_gray(const ColorPixels& image);
// Keeps the upper bits of each byte.
void posterize(const ColorPixels& image, int bits);
// Inverts bytes of at least `threshold`.
void solarize(const ColorPixels& image, float threshold);
// Stretches each channel to 0..255.
void auto_contrast(const ColorPixels& image);
// Spreads each channel so that its values are equally frequent.
void equalize(const ColorPixels& image);

}  // namespace trainer
