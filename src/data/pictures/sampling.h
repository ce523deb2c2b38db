// The pixels of a picture that make an item, and the one loop that copies them into the batch.
#pragma once

#include <cstdint>

#include "data/pictures/pixel_view.h"

namespace trainer {

// Coordinate i of the item, 0 <= i < count, is coordinate first + step * i of the picture.
struct AxisSampling {
  int64_t first = 0;
  int64_t step = 1;  // or -1
  int64_t count = 0;

  bool flipped() const { return step < 0; }
  void flip();
  void crop(int64_t offset, int64_t new_count);
};

struct Sampling {
  AxisSampling y, x;

  Sampling() = default;
  // The whole picture.
  explicit Sampling(const ItemShape& picture) : y{0, 1, picture.height}, x{0, 1, picture.width} {}
};

// The mean of item pixel (c, h, w) is data[c * c_step + h * h_step + w * w_step].
struct MeanView {
  const float* data;
  int64_t c_step = 0, h_step = 0, w_step = 0;
};

// The factor of channel c of the item is data[c * c_step].
struct FactorView {
  const float* data;
  int64_t c_step = 0;
};

// Item pixel (c, h, w) is written to data[c * c_step + h * h_step + w * w_step].
struct ItemView {
  float* data;
  int64_t c_step = 0, h_step = 0, w_step = 0;
};

// An item of this shape at `data`.
ItemView item_view(float* data, const ItemShape& shape, MemoryFormat order);

// out[c, h, w] = (pixel[s(c), y(h), x(w)] - mean[c, h, w]) * factor[c]
// s(c) = c, or with `reversed` 2 - c for the first three channels of a picture that has as many.
void write_item(const PixelView& pixels, const Sampling& sampling, bool reversed, const MeanView& mean,
                const FactorView& factor, const ItemView& out);
// Writes the pixels of one channel, unchanged and row-major.
void write_mask(const PixelView& mask, const Sampling& sampling, float* out);

}  // namespace trainer
