// A Gaussian blur, as torchvision's functional.gaussian_blur: the picture is reflected at its borders.
#pragma once

#include <cstdint>
#include <vector>

#include "data/pictures/pixel_view.h"

namespace trainer {

// Memory that calls of one thread share.
class GaussianBlur {
 public:
  // `kernel` is odd; both sides of the window are more than kernel / 2. Writes an image of the same size.
  void apply(const PixelWindow& window, int kernel, double sigma, uint8_t* out);

 private:
  std::vector<float> weights_, sums_, line_;
};

}  // namespace trainer
