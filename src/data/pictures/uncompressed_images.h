// PPM, PGM (P2, P3, P5, P6) and uncompressed BMP files, for ImageDecoder.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/pictures/image_decoder.h"

namespace trainer {

bool is_pnm(std::string_view file);
bool is_bmp(std::string_view file);

// Return interleaved pixels in `pixels`. With `header_only` read only the shape. Throw data_error: damaged, not
// supported, too large.
ItemShape decode_pnm(std::string_view file, ColorMode mode, bool header_only, std::vector<uint8_t>& pixels);
ItemShape decode_bmp(std::string_view file, ColorMode mode, bool header_only, std::vector<uint8_t>& pixels);

// The weights of BT.601 in 14-bit fixed point, rounded, as OpenCV's decoders convert colour to grey.
inline uint8_t gray_of(int blue, int green, int red) {
  return static_cast<uint8_t>((red * 4899 + green * 9617 + blue * 1868 + 8192) >> 14);
}

}  // namespace trainer
