// Antialiased resizing with the weights and roundings of Pillow's Image.resize for 8-bit images.
//
// Each output pixel is a weighted mean of the input pixels below a filter, which is as wide as the scale in downsizing.
// The axes follow each other, with 8-bit values in between and weights of 22 fractional bits. Along one axis the result
// equals Pillow's; along both it differs by at most one grey level where Pillow takes the other axis first.
#pragma once

#include <cstdint>
#include <vector>

#include "data/pictures/resample_columns.h"
#include "data/pictures/resample_rows.h"

namespace trainer {

enum class ResampleFilter {
  kNearest,   // one input pixel for each output pixel
  kBilinear,  // a triangle, 1 - |x|
  kBicubic,   // Keys' cubic with a = -0.5
};

// The part of a window that is resized, in pixels of the window.
struct ResampledBox {
  ResampledBox() = default;
  // The whole window.
  explicit ResampledBox(const PixelWindow& window)
      : height(static_cast<double>(window.height)), width(static_cast<double>(window.width)) {}

  double y = 0, x = 0, height = 0, width = 0;
};

// Memory that calls of one thread share.
class Resampler {
 public:
  // Writes height * width * window.channels bytes to `out`. All extents must be at least 1.
  void resize(const PixelWindow& window, int height, int width, ResampleFilter filter, uint8_t* out) {
    resize(window, ResampledBox(window), height, width, filter, out);
  }
  void resize(const PixelWindow& window, const ResampledBox& box, int height, int width, ResampleFilter filter,
              uint8_t* out);

 private:
  struct Axis : ResampledAxis {
    std::vector<double> values;  // of the filter, for one pixel of the result
    // For the `extent` pixels from `begin` on, of `in`.
    void prepare(int in, double begin, double extent, int out, ResampleFilter filter);
  };

  void resize_rows(const PixelWindow& window, const ResampledBox& box, int width, ResampleFilter filter, uint8_t* out);
  void resize_columns(const PixelWindow& window, const ResampledBox& box, int height, ResampleFilter filter,
                      uint8_t* out);

  Axis axis_;
  RowResampler rows_;
  ColumnResampler columns_;
  std::vector<uint8_t> passed_;  // after the first pass
};

}  // namespace trainer
