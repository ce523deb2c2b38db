// PNG with libpng. It reports errors by longjmp, so the functions that call it have only plain values in their frames.
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "base/error.h"
#include "data/pictures/formats/bytes.h"
#include "data/pictures/formats/exif.h"
#include "data/pictures/formats/image_format.h"

namespace trainer {

namespace {

struct PngInput {
  const char* bytes;
  size_t size;
  size_t at;
  char reason[160];
};

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto* input = static_cast<PngInput*>(png_get_io_ptr(png));
  if (count > input->size - input->at) png_error(png, "the file ends too early");
  std::memcpy(out, input->bytes + input->at, count);
  input->at += count;
}

void on_error(png_structp png, png_const_charp message) {
  auto* input = static_cast<PngInput*>(png_get_error_ptr(png));
  std::strncpy(input->reason, message, sizeof(input->reason) - 1);
  longjmp(png_jmpbuf(png), 1);
}

void on_warning(png_structp, png_const_charp) {}

struct PngHeader {
  png_uint_32 width = 0, height = 0;
  int depth = 0, color_type = 0, channels = 0;
  bool transparent = false;
};

bool read_header(png_structp png, png_infop info, ColorMode mode, PngHeader* header) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_info(png, info);
  png_get_IHDR(png, info, &header->width, &header->height, &header->depth, &header->color_type, nullptr, nullptr,
               nullptr);
  header->transparent = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  const int type = header->color_type;
  if (mode == ColorMode::kGray || mode == ColorMode::kIndices) {
    header->channels = 1;
  } else if (mode == ColorMode::kColor) {
    header->channels = 3;
  } else if ((type & PNG_COLOR_MASK_ALPHA) != 0 || (type != PNG_COLOR_TYPE_GRAY && header->transparent)) {
    header->channels = 4;
  } else {
    header->channels = type == PNG_COLOR_TYPE_GRAY ? 1 : 3;
  }
  return true;
}

// Selects the conversions that give header.channels interleaved bytes.
void select_bytes(png_structp png, const PngHeader* header) {
  const int type = header->color_type;
  const bool gray = (type & PNG_COLOR_MASK_COLOR) == 0;
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (header->depth > 8) png_set_strip_16(png);  // keeps the upper 8 bits, as OpenCV does
  if (type == PNG_COLOR_TYPE_GRAY && header->depth < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (header->channels == 4) {
    if (header->transparent) png_set_tRNS_to_alpha(png);
  } else {
    png_set_strip_alpha(png);
  }
  if (header->channels == 1 && !gray) png_set_rgb_to_gray(png, 1, 0.299, 0.587);
  if (header->channels >= 3 && gray) png_set_gray_to_rgb(png);
  if (header->channels >= 3) png_set_bgr(png);
}

// Reads all lines of interleaved bytes.
bool read_pixels(png_structp png, png_infop info, ColorMode mode, const PngHeader* header, png_bytepp lines,
                 size_t line_bytes) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  if (mode == ColorMode::kIndices) {
    png_set_packing(png);
  } else {
    select_bytes(png, header);
  }
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != line_bytes) png_error(png, "its lines have an unexpected length");
  png_read_image(png, lines);
  return true;
}

// The values of a mask are the numbers of classes.
void check_indices(const PngHeader& header) {
  const bool palette = header.color_type == PNG_COLOR_TYPE_PALETTE, gray = header.color_type == PNG_COLOR_TYPE_GRAY;
  if (!palette && !gray)
    throw data_error(
        "the mask has colors or transparency: it must have a palette, whose numbers are the classes, or gray values, "
        "which are the classes");
  if (header.depth > 8) throw data_error("the mask has {} bits per pixel: at most 8 are supported", header.depth);
}

// Frees libpng's structures.
class PngReader {
 public:
  explicit PngReader(std::string_view file) : input{file.data(), file.size(), 0, {}} {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &input, on_error, on_warning);
    info = png == nullptr ? nullptr : png_create_info_struct(png);
    if (info == nullptr) {
      png_destroy_read_struct(&png, nullptr, nullptr);
      throw data_error("libpng cannot start: out of memory");
    }
    png_set_read_fn(png, &input, read_bytes);
  }
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  PngInput input;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

class PngDecoder : public FormatDecoder {
 public:
  ItemShape decode(std::string_view file, ColorMode mode, std::vector<uint8_t>* pixels) override {
    PngReader reader(file);
    PngHeader header;
    if (!read_header(reader.png, reader.info, mode, &header)) {
      throw data_error("a damaged PNG file: {}", reader.input.reason);
    }
    if (mode == ColorMode::kIndices) check_indices(header);
    const ItemShape shape{header.channels, static_cast<int64_t>(header.height), static_cast<int64_t>(header.width)};
    check_picture_size("PNG", shape);
    if (pixels == nullptr) return shape;

    const size_t line_bytes = static_cast<size_t>(shape.width * shape.channels);
    pixels->resize(static_cast<size_t>(shape.count()));
    lines_.resize(static_cast<size_t>(shape.height));
    for (size_t y = 0; y < lines_.size(); ++y) lines_[y] = pixels->data() + y * line_bytes;
    if (!read_pixels(reader.png, reader.info, mode, &header, lines_.data(), line_bytes)) {
      throw data_error("a damaged PNG file: {}", reader.input.reason);
    }
    return shape;
  }

  bool has_indices() const override { return true; }

  int orientation(std::string_view file) override {
    // A chunk: the length of its content, its type, the content, a check sum.
    for (size_t at = 8; at + 12 <= file.size();) {
      const size_t length = big_endian(file, at, 4);
      if (file.substr(at + 4, 4) == "eXIf") return exif_orientation(file.substr(at + 8, length));
      at += length + 12;
    }
    return 1;
  }

 private:
  std::vector<uint8_t*> lines_;
};

REGISTER_DECODER("PNG", PngDecoder);

}  // namespace

}  // namespace trainer
