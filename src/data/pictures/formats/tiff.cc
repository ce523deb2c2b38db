// The first page of a TIFF file, with libtiff's conversion of all kinds of files to 8-bit red, green, blue and alpha.
// libtiff calls back from C code, which no exception may cross.
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "data/pictures/formats/exif.h"
#include "data/pictures/formats/image_format.h"

namespace trainer {

namespace {

struct TiffInput {
  std::string_view file;
  size_t at = 0;
  char reason[160] = "";  // the first error
};

TiffInput& input_of(thandle_t handle) { return *static_cast<TiffInput*>(handle); }

tmsize_t read_bytes(thandle_t handle, void* out, tmsize_t count) {
  TiffInput& input = input_of(handle);
  const size_t read = std::min(static_cast<size_t>(std::max<tmsize_t>(count, 0)), input.file.size() - input.at);
  std::memcpy(out, input.file.data() + input.at, read);
  input.at += read;
  return static_cast<tmsize_t>(read);
}

tmsize_t write_nothing(thandle_t, void*, tmsize_t) { return 0; }

toff_t seek(thandle_t handle, toff_t offset, int origin) {
  TiffInput& input = input_of(handle);
  const toff_t base = origin == SEEK_SET ? 0 : origin == SEEK_CUR ? input.at : input.file.size();
  input.at = static_cast<size_t>(std::min<toff_t>(base + offset, input.file.size()));
  return input.at;
}

int close_nothing(thandle_t) { return 0; }
toff_t size_of(thandle_t handle) { return input_of(handle).file.size(); }

int map(thandle_t handle, void** bytes, toff_t* size) {
  *bytes = const_cast<char*>(input_of(handle).file.data());
  *size = input_of(handle).file.size();
  return 1;
}

void unmap(thandle_t, void*, toff_t) {}

int on_error(TIFF*, void* handle, const char*, const char* format, va_list values) {
  TiffInput& input = input_of(handle);
  if (input.reason[0] == '\0') std::vsnprintf(input.reason, sizeof(input.reason), format, values);
  return 1;
}

int on_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

using Tiff = std::unique_ptr<TIFF, void (*)(TIFF*)>;

Tiff open(TiffInput& input) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                             TIFFOpenOptionsFree);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &input);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kLargestPicture);
  return Tiff(TIFFClientOpenExt("image", "r", &input, read_bytes, write_nothing, seek, close_nothing, size_of, map,
                                unmap, options.get()),
              TIFFClose);
}

struct TiffHeader {
  uint32_t width = 0, height = 0;
  uint16_t orientation = ORIENTATION_TOPLEFT;
  int channels = 3;  // as stored
};

TiffHeader read_header(TIFF* tiff) {
  char reason[1024] = "";
  if (TIFFRGBAImageOK(tiff, reason) == 0) throw data_error("a TIFF file that is not supported: {}", reason);
  uint16_t format = SAMPLEFORMAT_UINT, photometric = PHOTOMETRIC_RGB, samples = 1;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
  if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) {
    throw data_error("a TIFF file that is not supported: its samples are not unsigned integers");
  }
  TiffHeader header;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &header.width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &header.height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &header.orientation);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
  if (photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE) header.channels = 1;
  if (photometric == PHOTOMETRIC_RGB && samples >= 4) header.channels = 4;
  return header;
}

// From red, green, blue and alpha, in place.
void convert_pixels(size_t count, int channels, uint8_t* pixels) {
  const uint8_t* in = pixels;
  for (uint8_t* out = pixels; count > 0; --count, in += 4, out += channels) {
    const uint8_t red = in[0], green = in[1], blue = in[2], alpha = in[3];
    put_pixel(blue, green, red, channels, out);
    if (channels == 4) out[3] = alpha;
  }
}

// The most bytes of samples that a stored byte can give; 0: any number.
double largest_expansion(uint16_t compression, uint16_t photometric) {
  switch (compression) {
    case COMPRESSION_NONE: return photometric == PHOTOMETRIC_YCBCR ? 4 : 1;  // colors may be stored at 1/16
    case COMPRESSION_PACKBITS: return 64;
    case COMPRESSION_LZW: return 4096;
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE: return 1032;
    default: return 0;
  }
}

// Throws if the file cannot hold as many samples as its header declares.
void check_samples(TIFF* tiff, const TiffHeader& header, size_t file_size) {
  uint16_t compression = COMPRESSION_NONE, photometric = PHOTOMETRIC_RGB, samples = 1, bits = 1;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
  const double expansion = largest_expansion(compression, photometric);
  const double declared = static_cast<double>(header.width) * header.height * samples * bits / 8;
  if (expansion > 0 && declared > expansion * static_cast<double>(file_size))
    throw data_error("a damaged TIFF file: it declares {}x{} pixels, which {} cannot hold", header.height, header.width,
                     format_bytes(static_cast<int64_t>(file_size)));
}

class TiffDecoder : public FormatDecoder {
 public:
  ItemShape decode(std::string_view file, ColorMode mode, std::vector<uint8_t>* pixels) override {
    TiffInput input{file};
    const Tiff tiff = open(input);
    if (tiff == nullptr) throw data_error("a damaged TIFF file: {}", input.reason);
    const TiffHeader header = read_header(tiff.get());
    const int channels = channels_of(mode, header.channels);
    const ItemShape shape{channels, header.height, header.width};
    check_picture_size("TIFF", {4, shape.height, shape.width});
    check_samples(tiff.get(), header, file.size());
    if (pixels == nullptr) return shape;

    const size_t count = static_cast<size_t>(shape.height * shape.width);
    pixels->resize(count * 4);
    // libtiff mirrors the pixels unless it returns the orientation of the file.
    if (TIFFReadRGBAImageOriented(tiff.get(), header.width, header.height, reinterpret_cast<uint32_t*>(pixels->data()),
                                  header.orientation, 1) == 0) {
      throw data_error("a damaged TIFF file: {}", input.reason);
    }
    convert_pixels(count, channels, pixels->data());
    pixels->resize(count * static_cast<size_t>(channels));
    return shape;
  }

  // The header and the first directory of a TIFF file have the form of EXIF metadata.
  int orientation(std::string_view file) override { return exif_orientation(file); }
};

REGISTER_DECODER("TIFF", TiffDecoder);

}  // namespace

}  // namespace trainer
