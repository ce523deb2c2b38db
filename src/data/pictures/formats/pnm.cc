// PPM and PGM files (P2, P3, P5, P6).
#include <algorithm>

#include "base/error.h"
#include "data/pictures/formats/image_format.h"

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

class PnmDecoder : public FormatDecoder {
 public:
  ItemShape decode(std::string_view file, ColorMode mode, std::vector<uint8_t>* pixels) override {
    PnmText text(file);
    const char kind = file[1];
    if (kind == '1' || kind == '4') throw data_error("a PBM file: only the PNM formats PGM and PPM are supported");
    const int stored = kind == '3' || kind == '6' ? 3 : 1;
    const int64_t width = text.number(), height = text.number(), most = text.number();
    check_picture_size("PNM", {3, height, width});
    if (most < 1 || most > 255) {
      throw data_error("a PNM file of values up to {}: only 8 bits are supported, up to 255", most);
    }
    const int channels = channels_of(mode, stored);
    const ItemShape shape{channels, height, width};
    if (pixels == nullptr) return shape;

    const size_t count = static_cast<size_t>(width * height);
    const bool binary = kind >= '5';
    const size_t begin = text.at() + 1;  // one white space ends the header
    if (binary && (begin > file.size() || file.size() - begin < count * static_cast<size_t>(stored))) {
      throw data_error("a damaged PNM file: it ends too early");
    }
    pixels->resize(count * static_cast<size_t>(channels));
    const auto* bytes = reinterpret_cast<const uint8_t*>(file.data()) + std::min(begin, file.size());
    const auto next = [&] { return binary ? int{*bytes++} : static_cast<int>(std::min<int64_t>(text.number(), most)); };
    uint8_t* out = pixels->data();
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
};

REGISTER_DECODER("PNM", PnmDecoder);

}  // namespace

}  // namespace trainer
