// Encodes pictures as JPEG or PNG files, as OpenCV's imencode does by default.
#pragma once

#include <string>

#include "data/pictures/pixel_view.h"

namespace trainer {

// True for the types that encode_image() accepts: "jpg", "jpeg", "png".
bool can_encode(const std::string& type);

// `pixels`: interleaved bytes of 1 channel or 3 (blue, green, red). JPEG has quality 95 and 4:2:0 chroma; PNG is
// lossless. Throws data_error if the picture is too large for the format.
std::string encode_image(const PixelView& pixels, const std::string& type);

}  // namespace trainer
