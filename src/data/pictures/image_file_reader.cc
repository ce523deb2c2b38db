// Reads, decodes and resizes image files.
#include "data/pictures/image_file_reader.h"

#include "data/pictures/resize.h"
#include "formats/input_file.h"

namespace trainer {

void read_image_file(const std::string& path, std::string& bytes) {
  const InputFile file(path, "image");
  bytes.resize(static_cast<size_t>(file.size()));
  file.read(0, bytes.data(), file.size());
}

ItemShape ImageFileReader::shape(const std::string& path) {
  read_image_file(path, bytes_);
  ItemShape shape = decoder_.shape(bytes_, reading_.mode);
  if (reading_.height > 0) {
    shape.height = reading_.height;
    shape.width = reading_.width;
  }
  return shape;
}

PixelView ImageFileReader::read(const std::string& path) {
  read_image_file(path, bytes_);
  PixelView view = decoder_.decode(bytes_, reading_.mode);
  if (reading_.height == 0) return view;
  const auto channels = static_cast<int>(view.shape.channels);
  resize_bilinear({view.bytes, channels, static_cast<int>(view.shape.height), static_cast<int>(view.shape.width),
                   view.shape.width * channels},
                  reading_.height, reading_.width, resized_);
  view.shape.height = reading_.height;
  view.shape.width = reading_.width;
  view.bytes = resized_.data();
  return view;
}

}  // namespace trainer
