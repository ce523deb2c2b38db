// Selects the decoder of a file's format, and applies the orientation.
#include "data/pictures/image_decoder.h"

#include "base/error.h"
#include "data/pictures/orientation.h"

namespace trainer {

namespace {

int orientation_of(FormatDecoder& decoder, std::string_view file, ColorMode mode) {
  return mode == ColorMode::kAsStored ? 1 : decoder.orientation(file);
}

}  // namespace

FormatDecoder& ImageDecoder::decoder_of(std::string_view file, ColorMode mode) {
  const ImageFormat& format = format_of(file);
  std::unique_ptr<FormatDecoder>& decoder = decoders_[&format];
  if (decoder == nullptr) decoder = make_decoder(format);
  if (mode == ColorMode::kIndices && !decoder->has_indices())
    throw data_error("the mask must be a PNG file of gray values or of a palette");
  return *decoder;
}

ItemShape ImageDecoder::shape(std::string_view file, ColorMode mode) {
  FormatDecoder& decoder = decoder_of(file, mode);
  return upright_shape(decoder.decode(file, mode, nullptr), orientation_of(decoder, file, mode));
}

bool ImageDecoder::is_upright(std::string_view file) {
  return decoder_of(file, ColorMode::kColor).orientation(file) == 1;
}

PixelView ImageDecoder::decode(std::string_view file, ColorMode mode, PartChoice* choice) {
  FormatDecoder& decoder = decoder_of(file, mode);
  PixelView view;
  view.interleaved = true;
  view.shape = decoder.decode(file, mode, choice == nullptr ? &pixels_ : nullptr);
  const int orientation = orientation_of(decoder, file, mode);
  const PicturePart part = choice == nullptr ? PicturePart() : choice->choose(upright_shape(view.shape, orientation));
  if (choice != nullptr && orientation == 1) {
    view.reduction = decoder.decode_part(file, mode, part, &pixels_);
  } else if (choice != nullptr) {
    decoder.decode(file, mode, &pixels_);
  }
  view.bytes = pixels_.data();
  if (orientation != 1) {
    turn_upright(pixels_, view.shape, orientation, upright_);
    view.shape = upright_shape(view.shape, orientation);
    view.bytes = upright_.data();
  }
  return view;
}

}  // namespace trainer
