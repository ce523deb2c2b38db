// PNG through libpng, for ImageDecoder.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/pictures/image_decoder.h"

namespace trainer {

// Pixels come back interleaved in `pixels`; both vectors are reused memory. With `header_only` nothing but
// the shape is read. Throws data_error: damaged, more than 8 bits a channel to be kept as stored, too large.
ItemShape decode_png(std::string_view file, ColorMode mode, bool header_only, std::vector<uint8_t>& pixels,
                     std::vector<uint8_t*>& lines);

// Throws data_error where a header announces more than kLargestPicture bytes of pixels: a damaged header must
// not take all memory.
constexpr int64_t kLargestPicture = int64_t{1} << 30;
void check_picture_size(const ItemShape& shape);

}  // namespace trainer
