// Decodes JPEG with libjpeg-turbo; PNG, PNM and BMP have their own files. The first bytes of a file give its format.
#include "data/pictures/image_decoder.h"

#include <turbojpeg.h>

#include <cstring>

#include "base/error.h"
#include "data/pictures/png_decoder.h"
#include "data/pictures/uncompressed_images.h"

namespace trainer {

namespace {

bool starts_with(std::string_view file, std::string_view signature) {
  return file.substr(0, signature.size()) == signature;
}

const char* name_of_other_format(std::string_view file) {
  if (starts_with(file, "GIF8")) return "a GIF file";
  if (starts_with(file, "RIFF") && file.substr(8, 4) == "WEBP") return "a WebP file";
  if (starts_with(file, std::string_view("II*\0", 4)) || starts_with(file, std::string_view("MM\0*", 4))) {
    return "a TIFF file";
  }
  if (file.size() > 2 && file[0] == 'P' && (file[1] == '1' || file[1] == '4')) return "a PBM file";
  if (file.empty()) return "empty";
  return "not an image file";
}

bool is_png(std::string_view file) { return starts_with(file, "\x89PNG\r\n\x1a\n"); }
bool is_jpeg(std::string_view file) { return starts_with(file, "\xFF\xD8"); }

[[noreturn]] void throw_unknown_format(std::string_view file) {
  throw data_error("the image is {}: JPEG, PNG, PPM, PGM and BMP are supported", name_of_other_format(file));
}

const unsigned char* bytes_of(std::string_view file) { return reinterpret_cast<const unsigned char*>(file.data()); }

// Inks are stored inverted, as Adobe's programs write them.
void convert_cmyk(const std::vector<uint8_t>& inks, int channels, uint8_t* out) {
  for (size_t i = 0; i + 3 < inks.size(); i += 4, out += channels) {
    const int k = inks[i + 3];
    int rgb[3];
    for (size_t c = 0; c < 3; ++c) rgb[c] = k - ((255 - inks[i + c]) * k >> 8);
    if (channels == 3) {
      for (int c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(rgb[2 - c]);
    } else {
      out[0] = gray_of(rgb[2], rgb[1], rgb[0]);
    }
  }
}

}  // namespace

struct ImageDecoder::JpegHeader {
  ItemShape shape;
  bool cmyk = false;
};

ImageDecoder::~ImageDecoder() {
  if (jpeg_ != nullptr) tjDestroy(jpeg_);
}

ItemShape ImageDecoder::shape(std::string_view file, ColorMode mode) {
  if (is_jpeg(file)) return read_jpeg_header(file, mode).shape;
  if (is_png(file)) return decode_png(file, mode, true, pixels_, lines_);
  if (is_pnm(file)) return decode_pnm(file, mode, true, pixels_);
  if (is_bmp(file)) return decode_bmp(file, mode, true, pixels_);
  throw_unknown_format(file);
}

PixelView ImageDecoder::decode(std::string_view file, ColorMode mode) {
  if (is_jpeg(file)) return decode_jpeg(file, mode);
  PixelView view;
  if (is_png(file)) {
    view.shape = decode_png(file, mode, false, pixels_, lines_);
  } else if (is_pnm(file)) {
    view.shape = decode_pnm(file, mode, false, pixels_);
  } else if (is_bmp(file)) {
    view.shape = decode_bmp(file, mode, false, pixels_);
  } else {
    throw_unknown_format(file);
  }
  view.bytes = pixels_.data();
  view.interleaved = true;
  return view;
}

ImageDecoder::JpegHeader ImageDecoder::read_jpeg_header(std::string_view file, ColorMode mode) {
  if (jpeg_ == nullptr) jpeg_ = tjInitDecompress();
  if (jpeg_ == nullptr) throw data_error("libjpeg-turbo cannot start: {}", tjGetErrorStr2(nullptr));
  int width = 0, height = 0, subsampling = 0, colorspace = 0;
  // The library only warns about a truncated header, but then gives no extents.
  const int result =
      tjDecompressHeader3(jpeg_, bytes_of(file), file.size(), &width, &height, &subsampling, &colorspace);
  if (width < 1 || height < 1 || (result != 0 && tjGetErrorCode(jpeg_) == TJERR_FATAL)) {
    throw data_error("a damaged JPEG file: {}", tjGetErrorStr2(jpeg_));
  }
  JpegHeader header;
  header.cmyk = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
  const bool gray = mode == ColorMode::kGray || (mode == ColorMode::kAsStored && colorspace == TJCS_GRAY);
  header.shape = {gray ? 1 : 3, height, width};
  check_picture_size(header.shape);
  return header;
}

PixelView ImageDecoder::decode_jpeg(std::string_view file, ColorMode mode) {
  const JpegHeader header = read_jpeg_header(file, mode);
  const int width = static_cast<int>(header.shape.width), height = static_cast<int>(header.shape.height);
  const int channels = static_cast<int>(header.shape.channels);
  pixels_.resize(static_cast<size_t>(header.shape.count()));
  uint8_t* target = pixels_.data();
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
  if (header.cmyk) convert_cmyk(inks_, channels, pixels_.data());
  PixelView view;
  view.shape = header.shape;
  view.bytes = pixels_.data();
  view.interleaved = true;
  return view;
}

}  // namespace trainer
