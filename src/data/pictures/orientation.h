// Rotates and mirrors pictures by the orientation in their EXIF metadata, so that they are upright.
#pragma once

#include <cstdint>
#include <vector>

#include "data/pictures/pixel_view.h"

namespace trainer {

// `orientation`: 1 (upright already) to 8. From 5 on, height and width change places.
ItemShape upright_shape(const ItemShape& stored, int orientation);
// Pixels are interleaved, of 1 channel or 3. Returns them in `upright`, which must not be `pixels`.
void turn_upright(const std::vector<uint8_t>& pixels, const ItemShape& stored, int orientation,
                  std::vector<uint8_t>& upright);

}  // namespace trainer
