// JPEG with libjpeg-turbo.
#include <turbojpeg.h>

#include <cstring>

#include "base/error.h"
#include "data/pictures/formats/bytes.h"
#include "data/pictures/formats/exif.h"
#include "data/pictures/formats/image_format.h"

namespace trainer {

namespace {

const unsigned char* bytes_of(std::string_view file) { return reinterpret_cast<const unsigned char*>(file.data()); }

// Inks are stored inverted, as Adobe's programs write them.
void convert_cmyk(const std::vector<uint8_t>& inks, int channels, uint8_t* out) {
  for (size_t i = 0; i + 3 < inks.size(); i += 4, out += channels) {
    const int k = inks[i + 3];
    int rgb[3];
    for (size_t c = 0; c < 3; ++c) rgb[c] = k - ((255 - inks[i + c]) * k >> 8);
    put_pixel(rgb[2], rgb[1], rgb[0], channels, out);
  }
}

class JpegDecoder : public FormatDecoder {
 public:
  JpegDecoder() : jpeg_(tjInitDecompress()) {
    if (jpeg_ == nullptr) throw data_error("libjpeg-turbo cannot start: {}", tjGetErrorStr2(nullptr));
  }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;
  ~JpegDecoder() override { tjDestroy(jpeg_); }

  ItemShape decode(std::string_view file, ColorMode mode, std::vector<uint8_t>* pixels) override {
    const Header header = read_header(file, mode);
    if (pixels == nullptr) return header.shape;
    const int width = static_cast<int>(header.shape.width), height = static_cast<int>(header.shape.height);
    const int channels = static_cast<int>(header.shape.channels);
    pixels->resize(static_cast<size_t>(header.shape.count()));
    uint8_t* target = pixels->data();
    int format = channels == 1 ? TJPF_GRAY : TJPF_BGR;
    if (header.cmyk) {
      inks_.resize(static_cast<size_t>(header.shape.height * header.shape.width * 4));
      target = inks_.data();
      format = TJPF_CMYK;
    }
    if (tjDecompress2(jpeg_, bytes_of(file), file.size(), target, width, 0, height, format, 0) != 0) {
      // Stray bytes between markers are common and harmless; a truncated file is not.
      const char* reason = tjGetErrorStr2(jpeg_);
      if (tjGetErrorCode(jpeg_) == TJERR_FATAL || std::strstr(reason, "remature end") != nullptr) {
        throw data_error("a damaged JPEG file: {}", reason);
      }
    }
    if (header.cmyk) convert_cmyk(inks_, channels, pixels->data());
    return header.shape;
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
  struct Header {
    ItemShape shape;
    bool cmyk = false;
  };

  Header read_header(std::string_view file, ColorMode mode) {
    int width = 0, height = 0, subsampling = 0, colorspace = 0;
    // The library only warns about a truncated header, but then gives no extents.
    const int result =
        tjDecompressHeader3(jpeg_, bytes_of(file), file.size(), &width, &height, &subsampling, &colorspace);
    if (width < 1 || height < 1 || (result != 0 && tjGetErrorCode(jpeg_) == TJERR_FATAL)) {
      throw data_error("a damaged JPEG file: {}", tjGetErrorStr2(jpeg_));
    }
    Header header;
    header.cmyk = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
    header.shape = {channels_of(mode, colorspace == TJCS_GRAY ? 1 : 3), height, width};
    check_picture_size("JPEG", header.shape);
    return header;
  }

  void* jpeg_;                 // tjhandle
  std::vector<uint8_t> inks_;  // a CMYK picture before its conversion
};

REGISTER_DECODER("JPEG", JpegDecoder);

}  // namespace

}  // namespace trainer
