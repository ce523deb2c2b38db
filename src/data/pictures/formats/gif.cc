// The first frame of a GIF file on the background colour, with giflib.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "data/pictures/formats/image_format.h"

namespace trainer {

namespace {

struct GifInput {
  std::string_view file;
  size_t at = 0;
};

int read_bytes(GifFileType* gif, GifByteType* out, int count) {
  auto& input = *static_cast<GifInput*>(gif->UserData);
  const size_t read = std::min(static_cast<size_t>(std::max(count, 0)), input.file.size() - input.at);
  std::memcpy(out, input.file.data() + input.at, read);
  input.at += read;
  return static_cast<int>(read);
}

[[noreturn]] void throw_damage(int error) {
  const char* reason = GifErrorString(error);
  throw data_error("a damaged GIF file: {}", reason == nullptr ? "its content is not valid" : reason);
}

// The file up to the pixels of its first frame, and then its lines.
class GifReader {
 public:
  explicit GifReader(std::string_view file) : input_{file} {
    int error = 0;
    gif_.reset(DGifOpen(&input_, read_bytes, &error));
    if (gif_ == nullptr) throw_damage(error);
    find_frame();
  }

  int height() const { return gif_->SHeight; }
  int width() const { return gif_->SWidth; }
  const GifImageDesc& frame() const { return gif_->Image; }
  // -1: none
  int transparent() const { return control_.TransparentColor; }
  const ColorMapObject& palette() const {
    const ColorMapObject* palette = frame().ColorMap != nullptr ? frame().ColorMap : gif_->SColorMap;
    if (palette == nullptr) throw data_error("a damaged GIF file: it has no palette");
    return *palette;
  }
  // Black if the file gives none.
  GifColorType background() const {
    const ColorMapObject* colours = gif_->SColorMap;
    return colours != nullptr && gif_->SBackGroundColor < colours->ColorCount ? colours->Colors[gif_->SBackGroundColor]
                                                                              : GifColorType{};
  }
  void read_line(std::vector<uint8_t>& line) {
    check(DGifGetLine(gif_.get(), line.data(), static_cast<int>(line.size())));
  }

 private:
  struct Close {
    void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
  };

  void check(int result) const {
    if (result != GIF_OK) throw_damage(gif_->Error);
  }

  void find_frame() {
    for (;;) {
      GifRecordType type = UNDEFINED_RECORD_TYPE;
      check(DGifGetRecordType(gif_.get(), &type));
      if (type == EXTENSION_RECORD_TYPE) {
        read_extension();
      } else if (type == IMAGE_DESC_RECORD_TYPE) {
        check(DGifGetImageDesc(gif_.get()));
        if (frame().Left + frame().Width > width() || frame().Top + frame().Height > height()) {
          throw data_error("a damaged GIF file: its first frame exceeds the image");
        }
        return;
      } else {
        throw data_error("a damaged GIF file: it holds no image");
      }
    }
  }

  void read_extension() {
    int code = 0;
    GifByteType* block = nullptr;  // its length, and as many bytes
    check(DGifGetExtension(gif_.get(), &code, &block));
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr) DGifExtensionToGCB(block[0], block + 1, &control_);
    while (block != nullptr) check(DGifGetExtensionNext(gif_.get(), &block));
  }

  GifInput input_;
  std::unique_ptr<GifFileType, Close> gif_;
  GraphicsControlBlock control_{0, false, 0, NO_TRANSPARENT_COLOR};
};

class GifDecoder : public FormatDecoder {
 public:
  ItemShape decode(std::string_view file, ColorMode mode, std::vector<uint8_t>* pixels) override {
    GifReader gif(file);
    const int channels = channels_of(mode, gif.transparent() >= 0 ? 4 : 3);
    const ItemShape shape{channels, gif.height(), gif.width()};
    check_picture_size("GIF", {4, shape.height, shape.width});
    if (pixels == nullptr) return shape;

    set_colours(gif, channels);
    pixels->resize(static_cast<size_t>(shape.count()));
    fill(*pixels, shape);
    const GifImageDesc& frame = gif.frame();
    line_.resize(static_cast<size_t>(frame.Width));
    const auto read_lines = [&](int first, int step) {
      for (int y = first; y < frame.Height; y += step) {
        gif.read_line(line_);
        put_line(channels, pixels->data() + ((frame.Top + y) * shape.width + frame.Left) * channels);
      }
    };
    if (frame.Interlace) {
      read_lines(0, 8);
      read_lines(4, 8);
      read_lines(2, 4);
      read_lines(1, 2);
    } else {
      read_lines(0, 1);
    }
    return shape;
  }

 private:
  using Pixel = std::array<uint8_t, 4>;

  static Pixel pixel_of(const GifColorType& colour, uint8_t alpha, int channels) {
    Pixel pixel{0, 0, 0, alpha};
    put_pixel(colour.Blue, colour.Green, colour.Red, channels, pixel.data());
    return pixel;
  }

  void set_colours(const GifReader& gif, int channels) {
    const ColorMapObject& palette = gif.palette();
    background_ = pixel_of(gif.background(), 0, channels);
    colours_.clear();
    for (int i = 0; i < palette.ColorCount; ++i) colours_.push_back(pixel_of(palette.Colors[i], 255, channels));
    if (gif.transparent() >= 0) {
      // It may be outside the palette.
      const auto index = static_cast<size_t>(gif.transparent());
      colours_.resize(std::max(colours_.size(), index + 1), background_);
      colours_[index] = background_;
    }
  }

  // With the background colour.
  void fill(std::vector<uint8_t>& pixels, const ItemShape& shape) const {
    const int64_t row_bytes = shape.width * shape.channels;
    uint8_t* first_row = pixels.data();
    for (int64_t x = 0; x < row_bytes; x += shape.channels) {
      std::copy_n(background_.data(), shape.channels, first_row + x);
    }
    for (int64_t y = 1; y < shape.height; ++y) std::copy_n(first_row, row_bytes, first_row + y * row_bytes);
  }

  void put_line(int channels, uint8_t* out) const {
    for (const uint8_t index : line_) {
      if (index >= colours_.size()) throw data_error("a damaged GIF file: a color outside its palette");
      out = std::copy_n(colours_[index].data(), channels, out);
    }
  }

  Pixel background_{};
  std::vector<Pixel> colours_;  // the pixel of each colour; the background for the transparent one
  std::vector<uint8_t> line_;   // of the frame: indices of colours
};

REGISTER_DECODER("GIF", GifDecoder);

}  // namespace

}  // namespace trainer
