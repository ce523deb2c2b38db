// Compresses an image as JPEG and decodes it again: the artefacts of a quality.
#pragma once

#include <cstdint>
#include <vector>

#include "data/pictures/pixel_view.h"

namespace trainer {

// The libraries' objects and the memory of one thread.
class JpegRoundTrip {
 public:
  JpegRoundTrip() = default;
  JpegRoundTrip(const JpegRoundTrip&) = delete;
  JpegRoundTrip& operator=(const JpegRoundTrip&) = delete;
  ~JpegRoundTrip();

  // `quality`: 1 to 100. The window has 1 or 3 channels. Writes an image of the same size. Throws data_error for an
  // image too large for JPEG.
  void apply(const PixelWindow& window, int quality, uint8_t* out);

 private:
  void* compressor_ = nullptr;    // tjhandle, created at the first use
  void* decompressor_ = nullptr;  // the same
  std::vector<uint8_t> file_;
};

}  // namespace trainer
