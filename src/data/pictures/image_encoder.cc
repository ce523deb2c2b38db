// Writes JPEG, and PNG with libpng. libpng reports errors by longjmp, so the function that calls it
// has only plain values in its frame.
#include "data/pictures/image_encoder.h"

#include <png.h>

#include <csetjmp>

#include "base/error.h"
#include "data/pictures/jpeg_compressor.h"

namespace trainer {

namespace {

constexpr int kJpegQuality = 95;

std::string encode_jpeg(const PixelView& pixels) {
  const auto channels = static_cast<int>(pixels.shape.channels);
  const PixelWindow window{pixels.bytes, channels, static_cast<int>(pixels.shape.height),
                           static_cast<int>(pixels.shape.width), pixels.shape.width * channels};
  return std::string(JpegCompressor().compress(window, kJpegQuality));
}

void append_bytes(png_structp png, png_bytep bytes, size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(bytes), count);
}
void flush_nothing(png_structp) {}

bool write_png(png_structp png, png_infop info, const PixelView* pixels, std::string* out) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  const bool gray = pixels->shape.channels == 1;
  png_set_write_fn(png, out, append_bytes, flush_nothing);
  png_set_compression_level(png, 1);
  png_set_IHDR(png, info, static_cast<png_uint_32>(pixels->shape.width), static_cast<png_uint_32>(pixels->shape.height),
               8, gray ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  if (!gray) png_set_bgr(png);
  for (int64_t y = 0; y < pixels->shape.height; ++y)
    png_write_row(png, pixels->bytes + y * pixels->shape.width * pixels->shape.channels);
  png_write_end(png, info);
  return true;
}

std::string encode_png(const PixelView& pixels) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  std::string out;
  const bool written = info != nullptr && write_png(png, info, &pixels, &out);
  png_destroy_write_struct(&png, &info);
  if (!written) throw data_error("it cannot be written as PNG");
  return out;
}

}  // namespace

bool can_encode(const std::string& type) { return type == "jpg" || type == "jpeg" || type == "png"; }

std::string encode_image(const PixelView& pixels, const std::string& type) {
  TRAINER_ASSERT(can_encode(type) && pixels.interleaved && pixels.bytes != nullptr);
  TRAINER_ASSERT(pixels.shape.channels == 1 || pixels.shape.channels == 3);
  return type == "png" ? encode_png(pixels) : encode_jpeg(pixels);
}

}  // namespace trainer
