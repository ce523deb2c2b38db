// Reads files that store pixels uncompressed.
#include "data/pictures/uncompressed_images.h"

#include <algorithm>

#include "base/error.h"
#include "data/pictures/png_decoder.h"

namespace trainer {

namespace {

// Reads the numbers of a PNM header or of a text file's pixels, between white space and comments.
class PnmText {
 public:
  explicit PnmText(std::string_view file) : file_(file) {}

  int64_t number() {
    skip_blanks();
    int64_t value = 0;
    const size_t begin = at_;
    for (; at_ < file_.size() && file_[at_] >= '0' && file_[at_] <= '9'; ++at_) {
      value = value * 10 + (file_[at_] - '0');
      if (value > kLargestPicture) throw data_error("a damaged PNM file: it holds the number {}...", value);
    }
    if (at_ == begin) throw data_error("a damaged PNM file: no number at byte {}", at_);
    return value;
  }
  size_t at() const { return at_; }

 private:
  void skip_blanks() {
    for (; at_ < file_.size(); ++at_) {
      const char c = file_[at_];
      if (c == '#') {
        at_ = std::min(file_.find('\n', at_), file_.size() - 1);
      } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\v' && c != '\f') {
        return;
      }
    }
  }

  std::string_view file_;
  size_t at_ = 2;
};

int channels_of(ColorMode mode, int stored) {
  return mode == ColorMode::kAsStored ? stored : mode == ColorMode::kColor ? 3 : 1;
}

void put_pixel(int blue, int green, int red, int channels, uint8_t* out) {
  if (channels == 1) {
    out[0] = gray_of(blue, green, red);
  } else {
    out[0] = static_cast<uint8_t>(blue);
    out[1] = static_cast<uint8_t>(green);
    out[2] = static_cast<uint8_t>(red);
  }
}

uint32_t little_endian(std::string_view file, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint32_t{static_cast<unsigned char>(file[at + i])} << (8 * i);
  return value;
}

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
  if (header.width < 1 || header.height < 1) throw data_error("a damaged BMP file: its extents are wrong");
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

}  // namespace

bool is_pnm(std::string_view file) {
  return file.size() > 2 && file[0] == 'P' && (file[1] == '2' || file[1] == '3' || file[1] == '5' || file[1] == '6');
}

bool is_bmp(std::string_view file) { return file.substr(0, 2) == "BM"; }

ItemShape decode_pnm(std::string_view file, ColorMode mode, bool header_only, std::vector<uint8_t>& pixels) {
  PnmText text(file);
  const char kind = file[1];
  const int stored = kind == '3' || kind == '6' ? 3 : 1;
  const int64_t width = text.number(), height = text.number(), most = text.number();
  if (width < 1 || height < 1) throw data_error("a damaged PNM file: its extents are {}x{}", height, width);
  if (most < 1 || most > 255) {
    throw data_error("a PNM file of values up to {}: only 8 bits are supported, up to 255", most);
  }
  const int channels = channels_of(mode, stored);
  const ItemShape shape{channels, height, width};
  check_picture_size({3, height, width});
  if (header_only) return shape;

  const size_t count = static_cast<size_t>(width * height);
  const bool binary = kind >= '5';
  const size_t begin = text.at() + 1;  // one white space ends the header
  if (binary && (begin > file.size() || file.size() - begin < count * static_cast<size_t>(stored))) {
    throw data_error("a damaged PNM file: it ends too early");
  }
  pixels.resize(count * static_cast<size_t>(channels));
  const auto* bytes = reinterpret_cast<const uint8_t*>(file.data()) + std::min(begin, file.size());
  const auto next = [&] { return binary ? int{*bytes++} : static_cast<int>(std::min<int64_t>(text.number(), most)); };
  uint8_t* out = pixels.data();
  for (size_t i = 0; i < count; ++i, out += channels) {
    if (stored == 1) {
      std::fill(out, out + channels, static_cast<uint8_t>(next()));
    } else {
      const int red = next(), green = next(), blue = next();
      put_pixel(blue, green, red, channels, out);
    }
  }
  return shape;
}

ItemShape decode_bmp(std::string_view file, ColorMode mode, bool header_only, std::vector<uint8_t>& pixels) {
  const BmpHeader header = read_bmp_header(file);
  // A palette of greys makes a grey picture.
  bool gray = header.bits == 8;
  for (size_t i = 0; i < header.colours; ++i) {
    const char* colour = file.data() + header.palette_at + i * 4;
    gray = gray && colour[0] == colour[1] && colour[1] == colour[2];
  }
  const int channels = channels_of(mode, gray ? 1 : 3);
  const ItemShape shape{channels, header.height, header.width};
  check_picture_size({3, header.height, header.width});
  if (header_only) return shape;

  const int64_t pixel_bytes = header.bits / 8;
  const int64_t line_bytes = (header.width * pixel_bytes + 3) / 4 * 4;
  const int64_t end =
      static_cast<int64_t>(header.pixels_at) + line_bytes * (header.height - 1) + header.width * pixel_bytes;
  if (end > static_cast<int64_t>(file.size())) throw data_error("a damaged BMP file: it ends too early");
  pixels.resize(static_cast<size_t>(shape.count()));
  uint8_t* out = pixels.data();
  const auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
  for (int64_t y = 0; y < header.height; ++y) {
    const int64_t stored_line = header.upside_down ? header.height - 1 - y : y;
    const uint8_t* line = bytes + header.pixels_at + stored_line * line_bytes;
    for (int64_t x = 0; x < header.width; ++x, line += pixel_bytes, out += channels) {
      const uint8_t* colour = line;
      if (header.bits == 8) {
        if (*line >= header.colours) throw data_error("a damaged BMP file: a colour outside its palette");
        colour = bytes + header.palette_at + size_t{*line} * 4;
      }
      put_pixel(colour[0], colour[1], colour[2], channels, out);
    }
  }
  return shape;
}

}  // namespace trainer
