// The formats of image files. The decoder of a format is one file of this folder, which ends in REGISTER_DECODER.
//
// To add a format: such a file, and a row in the table of image_format.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "data/pictures/picture_part.h"

namespace trainer {

enum class ColorMode {
  kAsStored,  // grey stays 1 channel; a picture with transparency has 4 (B, G, R, A)
  kColor,     // 3 channels
  kGray,      // 1 channel
  kIndices,   // 1 channel: the gray values or palette numbers of a PNG file, as stored
};

// Decodes the files of one format, for one thread. Errors are data_error and name the format.
class FormatDecoder {
 public:
  virtual ~FormatDecoder() = default;
  // Returns the extents of the stored picture, and its interleaved bytes in `pixels`, which is reused memory. Without
  // `pixels` (nullptr) it reads only the header.
  virtual ItemShape decode(std::string_view file, ColorMode mode, std::vector<uint8_t>* pixels) = 0;
  // Writes at least the pixels of `part`, at their places in the stored picture or in a picture reduced by up to
  // part.reduction(). Returns by how much.
  virtual int decode_part(std::string_view file, ColorMode mode, const PicturePart& part,
                          std::vector<uint8_t>* pixels) {
    decode(file, mode, pixels);
    return 1;
  }
  // Whether it supports ColorMode::kIndices.
  virtual bool has_indices() const { return false; }
  // The EXIF orientation of a file that decode() accepted: 1 (upright) to 8.
  virtual int orientation(std::string_view file) { return 1; }
};

struct ImageFormat {
  const char* name;
  bool (*matches)(std::string_view file);
  std::vector<std::string_view> extensions;  // in lower case
  const char* package = nullptr;             // of the library, if the build works without it
};

// The format by the first bytes of a file. Throws data_error if no format matches.
const ImageFormat& format_of(std::string_view file);
// Whether the extension of a file name is that of a format, in upper or lower case.
bool is_image_name(std::string_view name);
// Throws data_error, with the name of the package, if this build lacks the decoder.
std::unique_ptr<FormatDecoder> make_decoder(const ImageFormat& format);

struct DecoderRegistration {
  DecoderRegistration(const char* format, std::unique_ptr<FormatDecoder> (*make)());
};
// `name` is that of the format in the table.
#define REGISTER_DECODER(name, type)                               \
  static const ::trainer::DecoderRegistration registration_##type( \
      name, []() -> std::unique_ptr<FormatDecoder> { return std::make_unique<type>(); })

// Throws data_error if a header declares an empty picture, or one of more than kLargestPicture bytes: a damaged header
// must not use up the memory.
constexpr int64_t kLargestPicture = int64_t{1} << 30;
void check_picture_size(const char* format, const ItemShape& shape);

// The channels of a picture of `stored` channels after decoding.
inline int channels_of(ColorMode mode, int stored) {
  return mode == ColorMode::kAsStored ? stored : mode == ColorMode::kColor ? 3 : 1;
}

// The weights of BT.601 in 14-bit fixed point, rounded, as OpenCV's decoders convert colour to grey.
inline uint8_t gray_of(int blue, int green, int red) {
  return static_cast<uint8_t>((red * 4899 + green * 9617 + blue * 1868 + 8192) >> 14);
}

// Writes one pixel of 1 channel (grey) or more (B, G, R).
inline void put_pixel(int blue, int green, int red, int channels, uint8_t* out) {
  if (channels == 1) {
    out[0] = gray_of(blue, green, red);
  } else {
    out[0] = static_cast<uint8_t>(blue);
    out[1] = static_cast<uint8_t>(green);
    out[2] = static_cast<uint8_t>(red);
  }
}

}  // namespace trainer
