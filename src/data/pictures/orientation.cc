// Each orientation is a walk through the stored pixels, with one step for each column and row of the result.
#include "data/pictures/orientation.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace trainer {

namespace {

struct Walk {
  const uint8_t* first;           // the result's upper left pixel
  int64_t column_step, row_step;  // in bytes
};

Walk walk_of(const uint8_t* pixels, const ItemShape& stored, int orientation) {
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const int64_t pixel_bytes = stored.channels, row_bytes = stored.width * pixel_bytes;
  Walk walk{pixels, pixel_bytes, row_bytes};
  if (from_right) {
    walk.first += row_bytes - pixel_bytes;
    walk.column_step = -pixel_bytes;
  }
  if (from_bottom) {
    walk.first += (stored.height - 1) * row_bytes;
    walk.row_step = -row_bytes;
  }
  if (orientation >= 5) std::swap(walk.column_step, walk.row_step);
  return walk;
}

template <int kChannels>
void copy_pixels(const Walk& walk, const ItemShape& shape, uint8_t* out) {
  for (int64_t y = 0; y < shape.height; ++y) {
    const uint8_t* in = walk.first + y * walk.row_step;
    for (int64_t x = 0; x < shape.width; ++x, in += walk.column_step, out += kChannels) std::copy_n(in, kChannels, out);
  }
}

}  // namespace

ItemShape upright_shape(const ItemShape& stored, int orientation) {
  if (orientation < 5) return stored;
  return {stored.channels, stored.width, stored.height};
}

void turn_upright(const std::vector<uint8_t>& pixels, const ItemShape& stored, int orientation,
                  std::vector<uint8_t>& upright) {
  TRAINER_ASSERT(orientation >= 1 && orientation <= 8 && (stored.channels == 1 || stored.channels == 3));
  upright.resize(pixels.size());
  const Walk walk = walk_of(pixels.data(), stored, orientation);
  const ItemShape shape = upright_shape(stored, orientation);
  stored.channels == 1 ? copy_pixels<1>(walk, shape, upright.data()) : copy_pixels<3>(walk, shape, upright.data());
}

}  // namespace trainer
