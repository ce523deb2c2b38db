// Decodes one Datum record.
#include "data/feeds/datum_decoder.h"

#include "base/error.h"
#include "formats/datum.h"

namespace trainer {

namespace {

class DatumDecoder : public RecordDecoder {
 public:
  explicit DatumDecoder(ColorMode mode) : mode_(mode) {}

  ItemShape shape(const Record& record) override {
    parse_datum(record.value, datum_);
    return datum_.encoded ? images_.shape(datum_.bytes, mode_) : raw_shape();
  }

  PixelView decode(const Record& record, PartChoice& choice, float* label) override {
    parse_datum(record.value, datum_);
    *label = static_cast<float>(datum_.label);
    if (datum_.encoded) return images_.decode(datum_.bytes, mode_, &choice);
    PixelView pixels;
    pixels.shape = raw_shape();
    choice.choose(pixels.shape);
    if (!datum_.bytes.empty()) {
      pixels.bytes = reinterpret_cast<const uint8_t*>(datum_.bytes.data());
    } else if (!datum_.float_data.empty()) {
      pixels.floats = datum_.float_data.data();
    } else {
      throw data_error("it has neither data nor float_data");
    }
    return pixels;
  }

  std::string_view image_file() const override { return datum_.encoded ? datum_.bytes : std::string_view(); }

 private:
  ItemShape raw_shape() const {
    const ItemShape shape{datum_.channels, datum_.height, datum_.width};
    if (shape.channels <= 0 || shape.height <= 0 || shape.width <= 0) {
      throw data_error("its extents are {}: the record holds no image", shape.text());
    }
    return shape;
  }

  ColorMode mode_;
  DatumView datum_;
  ImageDecoder images_;
};

}  // namespace

std::unique_ptr<RecordDecoder> make_datum_decoder(ColorMode mode) { return std::make_unique<DatumDecoder>(mode); }

}  // namespace trainer
