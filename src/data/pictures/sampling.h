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
  int64_t lowest() const { return flipped() ? first - count + 1 : first; }
  void flip();
  void crop(int64_t offset, int64_t new_count);
};

struct Sampling {
  AxisSampling y, x;

  Sampling() = default;
  // The whole picture.
  explicit Sampling(const ItemShape& picture) : y{0, 1, picture.height}, x{0, 1, picture.width} {}
};

// The mean of item pixel (c, h, w) is data[c * c_step + h * h_step + w * w_step]; with `stored` the channels are those
// of the picture, not of the item.
struct MeanView {
  const float* data;
  int64_t c_step = 0, h_step = 0, w_step = 0;
  bool stored = false;
};

// The channel of a picture that channel c of an item shows: `reversed` exchanges the first and the third one.
inline int64_t stored_channel(int64_t c, int64_t channels, bool reversed) {
  return reversed && channels >= 3 && c < 3 ? 2 - c : c;
}

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

// out[c, h, w] = (pixel[s(c), y(h), x(w)] - mean[c, h, w]) * factor[c], s = stored_channel
void write_item(const PixelView& pixels, const Sampling& sampling, bool reversed, const MeanView& mean,
                const FactorView& factor, const ItemView& out);
// Writes the pixels of one channel, unchanged and row-major.
void write_mask(const PixelView& mask, const Sampling& sampling, float* out);

}  // namespace trainer
