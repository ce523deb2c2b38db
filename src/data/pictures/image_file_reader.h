// One thread's reader of image files, as Caffe reads them: decoded to colour or grey, then resized if asked.
#pragma once

#include <string>
#include <vector>

#include "data/pictures/image_decoder.h"

namespace trainer {

struct ImageReading {
  ColorMode mode = ColorMode::kColor;
  int height = 0, width = 0;  // 0: as it is
};

class ImageFileReader {
 public:
  explicit ImageFileReader(const ImageReading& reading) : reading_(reading) {}

  // The extents that read() will give, from the file's head.
  ItemShape shape(const std::string& path);
  // Interleaved pixels, good until the next call. Throws data_error: not there, unreadable, damaged.
  PixelView read(const std::string& path);
  // The bytes of the file that was read last.
  const std::string& file() const { return bytes_; }

 private:
  ImageReading reading_;
  ImageDecoder decoder_;
  std::string bytes_;
  std::vector<uint8_t> resized_;
};

}  // namespace trainer
