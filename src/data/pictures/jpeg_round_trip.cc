// libjpeg-turbo writes into memory of the largest possible size.
#include "data/pictures/jpeg_round_trip.h"

#include <turbojpeg.h>

#include "base/error.h"

namespace trainer {

JpegRoundTrip::~JpegRoundTrip() {
  if (compressor_ != nullptr) tjDestroy(compressor_);
  if (decompressor_ != nullptr) tjDestroy(decompressor_);
}

void JpegRoundTrip::apply(const PixelWindow& window, int quality, uint8_t* out) {
  if (compressor_ == nullptr) compressor_ = tjInitCompress();
  if (decompressor_ == nullptr) decompressor_ = tjInitDecompress();
  if (compressor_ == nullptr || decompressor_ == nullptr)
    throw data_error("libjpeg-turbo cannot start: {}", tjGetErrorStr2(nullptr));
  const bool gray = window.channels == 1;
  const int sampling = gray ? TJSAMP_GRAY : TJSAMP_420, format = gray ? TJPF_GRAY : TJPF_BGR;
  file_.resize(tjBufSize(window.width, window.height, sampling));
  unsigned char* bytes = file_.data();
  unsigned long size = file_.size();
  const int pitch = static_cast<int>(window.row_bytes);
  if (tjCompress2(compressor_, window.pixels, window.width, pitch, window.height, format, &bytes, &size, sampling,
                  quality, TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0)
    throw data_error("it cannot be compressed as JPEG: {}", tjGetErrorStr2(compressor_));
  if (tjDecompress2(decompressor_, bytes, size, out, window.width, 0, window.height, format, 0) != 0)
    throw data_error("it cannot be decoded after its compression: {}", tjGetErrorStr2(decompressor_));
}

}  // namespace trainer
