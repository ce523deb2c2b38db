// Still WebP images with libwebp.
#include <webp/decode.h>

#include "base/error.h"
#include "data/pictures/formats/bytes.h"
#include "data/pictures/formats/exif.h"
#include "data/pictures/formats/image_format.h"

namespace trainer {

namespace {

void check(VP8StatusCode status) {
  if (status == VP8_STATUS_OK) return;
  throw data_error("a damaged WebP file: {}",
                   status == VP8_STATUS_NOT_ENOUGH_DATA ? "it ends too early" : "its content is not valid");
}

class WebpDecoder : public FormatDecoder {
 public:
  ItemShape decode(std::string_view file, ColorMode mode, std::vector<uint8_t>* pixels) override {
    const auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
    WebPDecoderConfig config;
    if (WebPInitDecoderConfig(&config) == 0) throw data_error("libwebp cannot start: it has an unknown version");
    check(WebPGetFeatures(bytes, file.size(), &config.input));
    if (config.input.has_animation != 0) {
      throw data_error("an animated WebP file: of WebP only still images are supported");
    }
    const int decoded = mode == ColorMode::kAsStored && config.input.has_alpha != 0 ? 4 : 3;
    const int channels = channels_of(mode, decoded);
    const ItemShape shape{channels, config.input.height, config.input.width};
    check_picture_size("WebP", {decoded, shape.height, shape.width});
    if (pixels == nullptr) return shape;

    const size_t count = static_cast<size_t>(shape.height * shape.width);
    pixels->resize(count * static_cast<size_t>(decoded));
    config.output.colorspace = decoded == 4 ? MODE_BGRA : MODE_BGR;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = {pixels->data(), config.input.width * decoded, pixels->size()};
    check(WebPDecode(bytes, file.size(), &config));
    if (channels == 1) {
      uint8_t* out = pixels->data();
      for (const uint8_t* in = out; out < pixels->data() + count; in += 3) *out++ = gray_of(in[0], in[1], in[2]);
      pixels->resize(count);
    }
    return shape;
  }

  int orientation(std::string_view file) override {
    // A chunk: its type, the length of its content, and its content, which a byte fills to an even length.
    for (size_t at = 12; at + 8 <= file.size();) {
      const size_t length = little_endian(file, at + 4, 4);
      if (file.substr(at, 4) == "EXIF") return exif_orientation(file.substr(at + 8, length));
      at += 8 + length + length % 2;
    }
    return 1;
  }
};

REGISTER_DECODER("WebP", WebpDecoder);

}  // namespace

}  // namespace trainer
