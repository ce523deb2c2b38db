// Reads, decodes and resizes image files.
#include "data/pictures/image_file_reader.h"

#include "base/error.h"
#include "data/pictures/resize.h"
#include "formats/input_file.h"

namespace trainer {

void read_image_file(const std::string& path, std::string& bytes, const char* kind) {
  const InputFile file(path, kind);
  bytes.resize(static_cast<size_t>(file.size()));
  file.read(0, bytes.data(), file.size());
}

ItemShape ImageFileReader::shape(const std::string& path) {
  read_image_file(path, bytes_);
  return resized(decoder_.shape(bytes_, reading_.mode));
}

ItemShape ImageFileReader::resized(ItemShape stored) const {
  if (reading_.height > 0) {
    stored.height = reading_.height;
    stored.width = reading_.width;
  }
  return stored;
}

PixelView ImageFileReader::decode_stored(std::string_view file, PartChoice* choice) {
  const PixelView view = decoder_.decode(file, reading_.mode, choice);
  stored_ = view.shape;
  return view;
}

PixelView ImageFileReader::read(const std::string& path) {
  read_image_file(path, bytes_);
  return decode(bytes_);
}

PixelView ImageFileReader::decode(std::string_view file, PartChoice* choice) {
  PixelView view = decode_stored(file, reading_.height == 0 ? choice : nullptr);
  if (reading_.height == 0) return view;
  const auto channels = static_cast<int>(view.shape.channels);
  resize_bilinear({view.bytes, channels, static_cast<int>(view.shape.height), static_cast<int>(view.shape.width),
                   view.shape.width * channels},
                  reading_.height, reading_.width, resized_);
  view.shape.height = reading_.height;
  view.shape.width = reading_.width;
  view.bytes = resized_.data();
  if (choice != nullptr) choice->choose(view.shape);
  return view;
}

PixelView ImageFileReader::decode_mask(std::string_view file, const std::string& path) {
  PixelView view;
  try {
    view = mask_decoder_.decode(file, ColorMode::kIndices);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", path, error.what()));
  }
  if (view.shape.height != stored_.height || view.shape.width != stored_.width)
    throw data_error("the image is {}x{}, but its mask {} is {}x{}: a mask has a pixel for each pixel of its image",
                     stored_.height, stored_.width, path, view.shape.height, view.shape.width);
  if (reading_.height == 0) return view;
  resized_mask_.resize(static_cast<size_t>(reading_.height) * static_cast<size_t>(reading_.width));
  resampler_.resize(
      {view.bytes, 1, static_cast<int>(view.shape.height), static_cast<int>(view.shape.width), view.shape.width},
      reading_.height, reading_.width, ResampleFilter::kNearest, resized_mask_.data());
  view.shape = {1, reading_.height, reading_.width};
  view.bytes = resized_mask_.data();
  return view;
}

}  // namespace trainer
