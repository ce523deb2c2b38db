// Moves the pixels of an image by a projective map: rotations, shears, perspective.
#pragma once

#include <array>
#include <cstdint>

#include "data/pictures/pixel_view.h"

namespace trainer {

// Maps the centre (x + 0.5, y + 0.5) of a pixel of the result to the place (u / w, v / w) in the image that it shows:
//   u = m[0] x + m[1] y + m[2], v = m[3] x + m[4] y + m[5], w = m[6] x + m[7] y + m[8]
struct WarpMap {
  std::array<double, 9> m = {1, 0, 0, 0, 1, 0, 0, 0, 1};
};

// An affine map about a centre, as torchvision's functional.affine defines it: angles in degrees, the rotation
// clockwise; translations in pixels.
struct AffineMap {
  double angle = 0, translate_x = 0, translate_y = 0, scale = 1, shear_x = 0, shear_y = 0;
  double centre_x = 0, centre_y = 0;
};
WarpMap warp_of(const AffineMap& map);

struct Point {
  double x, y;
};
// The map that moves four points of the image to four others of the result, as torchvision's functional.perspective.
WarpMap warp_of(const std::array<Point, 4>& from, const std::array<Point, 4>& to);

// Writes an image of the same size: with the nearest pixels or, `bilinear`, interpolated ones. Places outside the image
// have the value `fill`.
void warp(const PixelWindow& window, const WarpMap& map, bool bilinear, uint8_t fill, uint8_t* out);

}  // namespace trainer
