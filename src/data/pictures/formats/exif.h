// The orientation in EXIF metadata, which cameras write for pictures that they store rotated or mirrored.
#pragma once

#include <string_view>

namespace trainer {

// `exif`: a TIFF header and its first directory, with or without "Exif\0\0" before them. Returns 1 (upright) to 8; 1
// for damaged metadata and other values.
int exif_orientation(std::string_view exif);

}  // namespace trainer
