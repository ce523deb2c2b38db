// Compresses images as JPEG, with half the resolution of colors.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/pictures/jpeg_library.h"
#include "data/pictures/pixel_view.h"

namespace trainer {

// The library's object and the memory of one thread.
class JpegCompressor {
 public:
  JpegCompressor();
  JpegCompressor(const JpegCompressor&) = delete;
  JpegCompressor& operator=(const JpegCompressor&) = delete;
  ~JpegCompressor();

  // The file, valid until the next call. `quality`: 1 to 100. The window has 1 or 3 channels. Throws data_error for an
  // image too large for JPEG.
  std::string_view compress(const PixelWindow& window, int quality);

 private:
  JpegMessages messages_;
  jpeg_compress_struct jpeg_{};
  std::vector<uint8_t> file_;
};

}  // namespace trainer
