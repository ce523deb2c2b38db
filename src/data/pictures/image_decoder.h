// Decodes image files as OpenCV's imdecode does: to upright 8-bit pixels, colour as B, G, R.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "data/pictures/formats/image_format.h"
#include "data/pictures/pixel_view.h"

namespace trainer {

// The decoder of one thread; reuses its memory. Errors are data_error and describe the problem without naming the file.
//
// EXIF orientation is applied, but not for ColorMode::kAsStored.
class ImageDecoder {
 public:
  // Reads only the file's header.
  ItemShape shape(std::string_view file, ColorMode mode);
  // Interleaved pixels, valid until the next call. With `choice` only those of the part that it selects are set.
  PixelView decode(std::string_view file, ColorMode mode, PartChoice* choice = nullptr);
  // Whether the pixels as stored need no turning.
  bool is_upright(std::string_view file);

 private:
  FormatDecoder& decoder_of(std::string_view file, ColorMode mode);

  std::map<const ImageFormat*, std::unique_ptr<FormatDecoder>> decoders_;  // made for the first file of their format
  std::vector<uint8_t> pixels_;
  std::vector<uint8_t> upright_;
};

}  // namespace trainer
