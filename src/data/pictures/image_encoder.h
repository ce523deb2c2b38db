// Pictures written as JPEG or PNG files, as OpenCV's imencode writes them by default.
#pragma once

#include <string>

#include "data/pictures/pixel_view.h"

namespace trainer {

// True for the types that encode_image() takes: "jpg", "jpeg", "png".
bool can_encode(const std::string& type);

// `pixels`: interleaved bytes of 1 channel or 3 (blue, green, red). JPEG has quality 95, its colour halved in
// both directions; PNG loses nothing. Throws data_error where the picture is too large for the format.
std::string encode_image(const PixelView& pixels, const std::string& type);

}  // namespace trainer
