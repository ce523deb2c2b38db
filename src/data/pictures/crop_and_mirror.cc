// A mirrored crop has the pixels of the crop that is not mirrored.
#include "data/pictures/crop_and_mirror.h"

#include "base/error.h"
#include "base/philox.h"

namespace trainer {

namespace {

int64_t bounded(uint32_t bits, int64_t bound) {
  return static_cast<int64_t>((uint64_t{bits} * static_cast<uint64_t>(bound)) >> 32);
}

}  // namespace

ItemShape CropAndMirror::output_shape(const ItemShape& picture) const {
  if (crop == 0) return picture;
  if (crop > picture.height || crop > picture.width)
    throw data_error("crop_size {} is larger than the item, which is {}", crop, picture.text());
  return {picture.channels, crop, crop};
}

Sampling CropAndMirror::sample(const ItemShape& picture, uint64_t epoch, uint64_t position) const {
  const bool drawn = mirror || random_crop;
  const PhiloxBlock draw = drawn ? philox(key, epoch, position) : PhiloxBlock{};
  Sampling sampling(picture);
  if (crop > 0) {
    const int64_t spare_y = picture.height - crop, spare_x = picture.width - crop;
    sampling.y.crop(random_crop ? bounded(draw[1], spare_y + 1) : spare_y / 2, crop);
    sampling.x.crop(random_crop ? bounded(draw[2], spare_x + 1) : spare_x / 2, crop);
  }
  if (mirror && (draw[mirror_word] >> 31) != 0) sampling.x.flip();
  return sampling;
}

}  // namespace trainer
