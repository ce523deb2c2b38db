// Decodes image files as OpenCV's imdecode does: JPEG, PNG, PPM, PGM and BMP to 8-bit pixels, colour as B, G, R.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/pictures/pixel_view.h"

namespace trainer {

enum class ColorMode {
  kAsStored,  // grey stays 1 channel; a PNG with transparency has 4 (B, G, R, A)
  kColor,     // 3 channels
  kGray,      // 1 channel
};

// The decoder of one thread; reuses its memory. Errors are data_error and describe the problem without naming the file.
class ImageDecoder {
 public:
  ImageDecoder() = default;
  ImageDecoder(const ImageDecoder&) = delete;
  ImageDecoder& operator=(const ImageDecoder&) = delete;
  ~ImageDecoder();

  // Reads only the file's header.
  ItemShape shape(std::string_view file, ColorMode mode);
  // Interleaved pixels, valid until the next call.
  PixelView decode(std::string_view file, ColorMode mode);

 private:
  struct JpegHeader;
  JpegHeader read_jpeg_header(std::string_view file, ColorMode mode);
  PixelView decode_jpeg(std::string_view file, ColorMode mode);

  void* jpeg_ = nullptr;  // tjhandle, created for the first JPEG
  std::vector<uint8_t> pixels_;
  std::vector<uint8_t> inks_;  // a CMYK picture before its conversion
  std::vector<uint8_t*> lines_;
};

}  // namespace trainer
