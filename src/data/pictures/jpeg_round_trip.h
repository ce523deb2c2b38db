// Compresses an image as JPEG and decodes it again: the artefacts of a quality.
#pragma once

#include <cstdint>
#include <memory>

#include "data/pictures/image_decoder.h"
#include "data/pictures/jpeg_compressor.h"

namespace trainer {

// The libraries' objects and the memory of one thread.
class JpegRoundTrip {
 public:
  // `quality`: 1 to 100. The window has 1 or 3 channels. Writes an image of the same size. Throws data_error for an
  // image too large for JPEG.
  void apply(const PixelWindow& window, int quality, uint8_t* out);

 private:
  std::unique_ptr<JpegCompressor> compressor_;  // created at the first use
  ImageDecoder decoder_;
};

}  // namespace trainer
