// Uncompressed BMP files.
#include "base/error.h"
#include "data/pictures/formats/bytes.h"
#include "data/pictures/formats/image_format.h"

namespace trainer {

namespace {

struct BmpHeader {
  int64_t width = 0, height = 0;
  bool upside_down = true;  // the last line first, the common order
  uint32_t bits = 0;
  size_t palette_at = 0, colours = 0, pixels_at = 0;
};

BmpHeader read_bmp_header(std::string_view file) {
  constexpr size_t kFileHeader = 14, kInfoHeader = 40;
  if (file.size() < kFileHeader + kInfoHeader) throw data_error("a damaged BMP file: it ends too early");
  const uint32_t info = little_endian(file, 14, 4);
  if (info < kInfoHeader) throw data_error("an OS/2 BMP file: only Windows BMP files are supported");
  BmpHeader header;
  header.pixels_at = little_endian(file, 10, 4);
  header.width = static_cast<int32_t>(little_endian(file, 18, 4));
  header.height = static_cast<int32_t>(little_endian(file, 22, 4));
  header.bits = little_endian(file, 28, 2);
  const uint32_t compression = little_endian(file, 30, 4);
  if (header.height < 0) {
    header.upside_down = false;
    header.height = -header.height;
  }
  if (compression != 0 || (header.bits != 8 && header.bits != 24 && header.bits != 32)) {
    throw data_error("a BMP file of {} bits per pixel{}: only uncompressed files of 8, 24 or 32 bits are supported",
                     header.bits, compression != 0 ? ", compressed" : "");
  }
  if (header.bits == 8) {
    const uint32_t used = little_endian(file, 46, 4);
    header.colours = used == 0 || used > 256 ? 256 : used;
    header.palette_at = kFileHeader + info;
    if (header.palette_at + header.colours * 4 > file.size()) throw data_error("a damaged BMP file: it ends too early");
  }
  return header;
}

class BmpDecoder : public FormatDecoder {
 public:
  ItemShape decode(std::string_view file, ColorMode mode, std::vector<uint8_t>* pixels) override {
    const BmpHeader header = read_bmp_header(file);
    // A palette of greys makes a grey picture.
    bool gray = header.bits == 8;
    for (size_t i = 0; i < header.colours; ++i) {
      const char* colour = file.data() + header.palette_at + i * 4;
      gray = gray && colour[0] == colour[1] && colour[1] == colour[2];
    }
    const int channels = channels_of(mode, gray ? 1 : 3);
    const ItemShape shape{channels, header.height, header.width};
    check_picture_size("BMP", {3, header.height, header.width});
    if (pixels == nullptr) return shape;

    const int64_t pixel_bytes = header.bits / 8;
    const int64_t line_bytes = (header.width * pixel_bytes + 3) / 4 * 4;
    const int64_t end =
        static_cast<int64_t>(header.pixels_at) + line_bytes * (header.height - 1) + header.width * pixel_bytes;
    if (end > static_cast<int64_t>(file.size())) throw data_error("a damaged BMP file: it ends too early");
    pixels->resize(static_cast<size_t>(shape.count()));
    uint8_t* out = pixels->data();
    const auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
    for (int64_t y = 0; y < header.height; ++y) {
      const int64_t stored_line = header.upside_down ? header.height - 1 - y : y;
      const uint8_t* line = bytes + header.pixels_at + stored_line * line_bytes;
      for (int64_t x = 0; x < header.width; ++x, line += pixel_bytes, out += channels) {
        const uint8_t* colour = line;
        if (header.bits == 8) {
          if (*line >= header.colours) throw data_error("a damaged BMP file: a color outside its palette");
          colour = bytes + header.palette_at + size_t{*line} * 4;
        }
        put_pixel(colour[0], colour[1], colour[2], channels, out);
      }
    }
    return shape;
  }
};

REGISTER_DECODER("BMP", BmpDecoder);

}  // namespace

}  // namespace trainer
