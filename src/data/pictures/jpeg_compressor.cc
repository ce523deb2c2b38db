// libjpeg-turbo writes into memory of the largest possible size.
#include "data/pictures/jpeg_compressor.h"

#include "base/align.h"
#include "base/error.h"

namespace trainer {

namespace {

// Of a file with all its headers.
size_t most_bytes(const PixelWindow& window) {
  constexpr int64_t kBlock = 16, kHeaders = 4096, kMostBytesOfPixel = 3;
  return static_cast<size_t>(align_up(window.width, kBlock) * align_up(window.height, kBlock) * kMostBytesOfPixel +
                             kHeaders);
}

}  // namespace

JpegCompressor::JpegCompressor() {
  jpeg_.err = &messages_;
  if (!messages_.run([&] { jpeg_create_compress(&jpeg_); }))
    throw data_error("libjpeg-turbo cannot start: {}", messages_.reason);
}

JpegCompressor::~JpegCompressor() { jpeg_destroy_compress(&jpeg_); }

std::string_view JpegCompressor::compress(const PixelWindow& window, int quality) {
  file_.resize(most_bytes(window));
  unsigned char* bytes = file_.data();
  unsigned long size = file_.size();
  const bool written = messages_.run([&] {
    jpeg_abort_compress(&jpeg_);
    jpeg_mem_dest(&jpeg_, &bytes, &size);
    jpeg_.image_width = static_cast<JDIMENSION>(window.width);
    jpeg_.image_height = static_cast<JDIMENSION>(window.height);
    jpeg_.input_components = window.channels;
    jpeg_.in_color_space = window.channels == 1 ? JCS_GRAYSCALE : JCS_EXT_BGR;
    jpeg_set_defaults(&jpeg_);
    jpeg_set_quality(&jpeg_, quality, TRUE);
    jpeg_start_compress(&jpeg_, TRUE);
    while (jpeg_.next_scanline < jpeg_.image_height) {
      auto* row = const_cast<uint8_t*>(window.pixels + jpeg_.next_scanline * window.row_bytes);
      jpeg_write_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_compress(&jpeg_);
  });
  if (!written) throw data_error("it cannot be compressed as JPEG: {}", messages_.reason);
  TRAINER_ASSERT(bytes == file_.data());
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace trainer
