// Writes a file to memory and reads it as any other.
#include "data/pictures/jpeg_round_trip.h"

#include <cstring>

namespace trainer {

void JpegRoundTrip::apply(const PixelWindow& window, int quality, uint8_t* out) {
  if (compressor_ == nullptr) compressor_ = std::make_unique<JpegCompressor>();
  const std::string_view file = compressor_->compress(window, quality);
  const PixelView decoded = decoder_.decode(file, window.channels == 1 ? ColorMode::kGray : ColorMode::kColor);
  std::memcpy(out, decoded.bytes, static_cast<size_t>(decoded.shape.count()));
}

}  // namespace trainer
