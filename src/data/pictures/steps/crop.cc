// Margins are half the difference, rounded to even, as in torchvision.
#include "data/pictures/steps/crop.h"

#include <cmath>

#include "base/error.h"

namespace trainer {

ItemShape cropped(const ItemShape& picture, const StepSize& size) {
  const bool known = picture.height > 0;
  if (known && (size.height > picture.height || size.width > picture.width))
    throw data_error("a crop of {}x{} is larger than the image, which is {}x{}: put a resize step before it",
                     size.height, size.width, picture.height, picture.width);
  return {picture.channels, size.height, size.width};
}

Rectangle centre_of(const ItemShape& picture, const StepSize& size) {
  const auto margin = [](int64_t in, int64_t out) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(in - out) / 2));
  };
  return {margin(picture.height, size.height), margin(picture.width, size.width), size.height, size.width};
}

}  // namespace trainer
