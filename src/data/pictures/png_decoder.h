// Decodes PNG with libpng, for ImageDecoder.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/pictures/image_decoder.h"

namespace trainer {

// Returns interleaved pixels in `pixels`; both vectors are reused memory. With `header_only` reads only the shape.
// Throws data_error: damaged, too large, more than 8 bits per channel without conversion.
ItemShape decode_png(std::string_view file, ColorMode mode, bool header_only, std::vector<uint8_t>& pixels,
                     std::vector<uint8_t*>& lines);

// Throws data_error if a header declares more than kLargestPicture bytes of pixels: a damaged header must not use up
// the memory.
constexpr int64_t kLargestPicture = int64_t{1} << 30;
void check_picture_size(const ItemShape& shape);

}  // namespace trainer
