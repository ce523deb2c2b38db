// Reads image files for one thread, as Caffe does: decodes to colour or grey, then resizes if requested.
#pragma once

#include <string>
#include <vector>

#include "data/pictures/image_decoder.h"
#include "data/pictures/resample.h"

namespace trainer {

// Reads an image file into reused memory. Throws data_error if it does not exist, is a folder or cannot be read.
void read_image_file(const std::string& path, std::string& bytes, const char* kind = "image");

struct ImageReading {
  ColorMode mode = ColorMode::kColor;
  int height = 0, width = 0;  // 0: unchanged
};

class ImageFileReader {
 public:
  explicit ImageFileReader(const ImageReading& reading) : reading_(reading) {}

  // The extents of the result of read(), from the file's header.
  ItemShape shape(const std::string& path);
  // Interleaved pixels, valid until the next call. Throws data_error if the file does not exist, cannot be read or is
  // damaged.
  PixelView read(const std::string& path);
  // The same of the bytes of a file; with `choice` only the pixels of the part that it selects are set.
  PixelView decode(std::string_view file, PartChoice* choice = nullptr);
  // As decode(), in the size of the file.
  PixelView decode_stored(std::string_view file, PartChoice* choice = nullptr);
  // The extents of the result of decode() for a file of these extents.
  ItemShape resized(ItemShape stored) const;
  // The class of each pixel of the image that was decoded last, from the bytes of a mask: one channel, in the size of
  // the result of decode(), valid until the next call. Throws data_error, which names `path`, if the mask cannot be
  // decoded or has another size than the image.
  PixelView decode_mask(std::string_view file, const std::string& path);
  // The bytes of the last file that was read.
  const std::string& file() const { return bytes_; }

 private:
  ImageReading reading_;
  ImageDecoder decoder_;
  std::string bytes_;
  std::vector<uint8_t> resized_;
  ItemShape stored_;  // of the image that was decoded last
  // Of masks.
  ImageDecoder mask_decoder_;
  Resampler resampler_;
  std::vector<uint8_t> resized_mask_;
};

}  // namespace trainer
