// JPEG with libjpeg-turbo. A part of a picture equals the same part of the whole picture.
#include <algorithm>

#include "base/error.h"
#include "data/pictures/formats/bytes.h"
#include "data/pictures/formats/exif.h"
#include "data/pictures/formats/image_format.h"
#include "data/pictures/jpeg_library.h"

namespace trainer {

namespace {

// Inks are stored inverted, as Adobe's programs write them.
void convert_cmyk(const uint8_t* inks, int64_t pixels, int channels, uint8_t* out) {
  for (int64_t i = 0; i < pixels; ++i, inks += 4, out += channels) {
    const int k = inks[3];
    int rgb[3];
    for (size_t c = 0; c < 3; ++c) rgb[c] = k - ((255 - inks[c]) * k >> 8);
    put_pixel(rgb[2], rgb[1], rgb[0], channels, out);
  }
}

// A decompressor of the library.
class Jpeg {
 public:
  Jpeg() {
    state.err = &messages_;
    run([&] { jpeg_create_decompress(&state); });
  }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;
  ~Jpeg() { jpeg_destroy_decompress(&state); }

  // See JpegMessages::run. Throws data_error after an error of the library, which then can read the next file.
  template <typename Use>
  void run(const Use& use) {
    if (!messages_.run(use)) throw data_error("a damaged JPEG file: {}", messages_.reason);
  }

  jpeg_decompress_struct state{};

 private:
  JpegMessages messages_;
};

class JpegDecoder : public FormatDecoder {
 public:
  ItemShape decode(std::string_view file, ColorMode mode, std::vector<uint8_t>* pixels) override {
    const ItemShape shape = read_header(file, mode);
    if (pixels != nullptr) read_part(shape, {0, 0, shape.height, shape.width}, pixels);
    return shape;
  }

  int decode_part(std::string_view file, ColorMode mode, const PicturePart& part,
                  std::vector<uint8_t>* pixels) override {
    const ItemShape shape = read_header(file, mode);
    const int reduction = part.reduction();
    jpeg_.state.scale_num = 1;
    jpeg_.state.scale_denom = static_cast<unsigned>(reduction);
    const auto reduced = [&](int64_t first, int64_t extent) {
      return std::pair{first / reduction, (first + extent + reduction - 1) / reduction - first / reduction};
    };
    const auto [y, height] = reduced(part.pixels.y, part.pixels.height);
    const auto [x, width] = reduced(part.pixels.x, part.pixels.width);
    read_part(shape, {y, x, height, width}, pixels);
    return reduction;
  }

  int orientation(std::string_view file) override {
    constexpr uint32_t kApp1 = 0xFFE1, kStartOfScan = 0xFFDA;
    // A segment: its marker, its length, which counts itself, and its content.
    for (size_t at = 2; at + 4 <= file.size();) {
      const uint32_t marker = big_endian(file, at, 2);
      const size_t length = big_endian(file, at + 2, 2);
      if (marker < 0xFF00 || marker == kStartOfScan || length < 2) return 1;
      const std::string_view content = file.substr(at + 4, length - 2);
      if (marker == kApp1 && content.starts_with("Exif")) return exif_orientation(content);
      at += 2 + length;
    }
    return 1;
  }

 private:
  // Begins with a file; the library has read its header.
  ItemShape read_header(std::string_view file, ColorMode mode) {
    jpeg_decompress_struct& jpeg = jpeg_.state;
    file_ = file;
    jpeg_abort_decompress(&jpeg);
    jpeg_.run([&] {
      jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
      jpeg_read_header(&jpeg, TRUE);
    });
    cmyk_ = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
    const int channels = channels_of(mode, jpeg.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3);
    jpeg.out_color_space = cmyk_ ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_EXT_BGR;
    const ItemShape shape{channels, jpeg.image_height, jpeg.image_width};
    check_picture_size("JPEG", shape);
    return shape;
  }

  // Decodes `part` of the picture, which is reduced as scale_denom says, to its place in `pixels`.
  void read_part(const ItemShape& shape, const Rectangle& part, std::vector<uint8_t>* pixels) {
    jpeg_decompress_struct& jpeg = jpeg_.state;
    jpeg_.run([&] { jpeg_start_decompress(&jpeg); });
    const int64_t row_bytes = shape.channels * jpeg.output_width;
    pixels->resize(static_cast<size_t>(row_bytes * jpeg.output_height));
    // Colors are interpolated between columns, but not beyond the part.
    constexpr int64_t kMargin = 16;
    const int64_t left = std::max<int64_t>(part.x - kMargin, 0);
    const int64_t right = std::min<int64_t>(part.x + part.width + kMargin, jpeg.output_width);
    auto first = static_cast<JDIMENSION>(left), columns = static_cast<JDIMENSION>(right - left);
    const auto above = static_cast<JDIMENSION>(part.y), end = static_cast<JDIMENSION>(part.y + part.height);
    const bool whole = columns == jpeg.output_width && end == jpeg.output_height;
    if (cmyk_) inks_.resize(4 * static_cast<size_t>(jpeg.output_width));
    const bool truncated = !whole && !jpeg_has_multiple_scans(&jpeg) && !has_end(file_);
    if (truncated) throw data_error("a damaged JPEG file: Premature end of JPEG file");
    jpeg_.run([&] {
      if (columns < jpeg.output_width) jpeg_crop_scanline(&jpeg, &first, &columns);
      if (above > 0) jpeg_skip_scanlines(&jpeg, above);
      uint8_t* row = pixels->data() + above * row_bytes + first * shape.channels;
      for (; jpeg.output_scanline < end; row += row_bytes) {
        uint8_t* target = cmyk_ ? inks_.data() : row;
        jpeg_read_scanlines(&jpeg, &target, 1);
        if (cmyk_) convert_cmyk(inks_.data(), columns, static_cast<int>(shape.channels), row);
      }
      if (whole) jpeg_finish_decompress(&jpeg);  // reads the end of the file
    });
  }

  // Whether the image of a file ends. Only a file with other bytes after the image is searched.
  static bool has_end(std::string_view file) {
    constexpr std::string_view kEnd = "\xFF\xD9";
    if (file.ends_with(kEnd)) return true;
    const size_t at = file.rfind(kEnd);
    return at != std::string_view::npos && at > file.size() / 2;
  }

  Jpeg jpeg_;
  std::string_view file_;
  bool cmyk_ = false;
  std::vector<uint8_t> inks_;  // of one row of a CMYK picture
};

REGISTER_DECODER("JPEG", JpegDecoder);

}  // namespace

}  // namespace trainer
