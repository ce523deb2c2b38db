// Two buffers alternate: a step reads one and writes the other.
#include "data/pictures/pixel_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace trainer {

void PixelBuffer::start(const PixelView& pixels) {
  pixels_ = pixels;
  window_ = Sampling(pixels.shape);
  current_ = -1;
}

void PixelBuffer::crop(const Rectangle& part) {
  window_.y.crop(part.y, part.height);
  window_.x.crop(part.x, part.width);
}

PixelWindow PixelBuffer::bytes() {
  TRAINER_ASSERT(pixels_.reduction == 1);
  if (pixels_.bytes == nullptr) throw data_error("it holds floats, but a step of augment needs 8-bit pixels");
  const ItemShape size = shape();
  if (size.channels > 4) throw data_error("it has {} channels, but a step of augment takes up to 4", size.channels);
  if (!pixels_.interleaved || window_.y.flipped() || window_.x.flipped()) copy_window();
  const int64_t row_bytes = pixels_.shape.width * size.channels;
  return {pixels_.bytes + window_.y.first * row_bytes + window_.x.first * size.channels,
          static_cast<int>(size.channels), static_cast<int>(size.height), static_cast<int>(size.width), row_bytes};
}

// The pixels below the window, in an image that is at least twice as large as the result.
PixelWindow PixelBuffer::reduced_bytes(ResampledBox& box) {
  const int by = pixels_.reduction;
  const auto axis = [&](const AxisSampling& window, int64_t& first, int& count, double& begin, double& extent) {
    first = window.lowest() / by;
    count = static_cast<int>((window.lowest() + window.count + by - 1) / by - first);
    begin = static_cast<double>(window.lowest()) / by - static_cast<double>(first);
    extent = static_cast<double>(window.count) / by;
  };
  PixelWindow window;
  int64_t y = 0, x = 0;
  axis(window_.y, y, window.height, box.y, box.height);
  axis(window_.x, x, window.width, box.x, box.width);
  window.channels = static_cast<int>(pixels_.shape.channels);
  window.row_bytes = (pixels_.shape.width + by - 1) / by * window.channels;
  window.pixels = pixels_.bytes + y * window.row_bytes + x * window.channels;
  return window;
}

void PixelBuffer::resize(int64_t height, int64_t width, ResampleFilter filter, Resampler& resampler) {
  TRAINER_ASSERT(pixels_.reduction == 1 || (!window_.y.flipped() && !window_.x.flipped()));
  ResampledBox box;
  const bool reduced = pixels_.reduction > 1;
  const PixelWindow from = reduced ? reduced_bytes(box) : bytes();
  if (!reduced) box = ResampledBox(from);
  resampler.resize(from, box, static_cast<int>(height), static_cast<int>(width), filter,
                   spare(height * width * from.channels));
  take_spare(height, width);
}

uint8_t* PixelBuffer::own_bytes() {
  bytes();
  if (current_ < 0 || shape() != pixels_.shape) copy_window();
  return buffers_[current_].data();
}

void PixelBuffer::place(int64_t height, int64_t width, int64_t y, int64_t x, uint8_t fill) {
  redraw(height, width, [&](const PixelWindow& from, uint8_t* out) {
    const int64_t out_bytes = width * from.channels, bytes = int64_t{from.width} * from.channels;
    std::fill_n(out, height * out_bytes, fill);
    uint8_t* to = out + y * out_bytes + x * from.channels;
    for (int64_t row = 0; row < from.height; ++row)
      std::memcpy(to + row * out_bytes, from.pixels + row * from.row_bytes, static_cast<size_t>(bytes));
  });
}

uint8_t* PixelBuffer::spare(int64_t bytes) {
  std::vector<uint8_t>& buffer = buffers_[current_ == 0 ? 1 : 0];
  if (buffer.size() < static_cast<size_t>(bytes)) buffer.resize(static_cast<size_t>(bytes));
  return buffer.data();
}

void PixelBuffer::take_spare(int64_t height, int64_t width) {
  current_ = current_ == 0 ? 1 : 0;
  pixels_.shape.height = height;
  pixels_.shape.width = width;
  pixels_.bytes = buffers_[current_].data();
  pixels_.interleaved = true;
  pixels_.reduction = 1;
  window_ = Sampling(pixels_.shape);
}

void PixelBuffer::copy_window() {
  const ItemShape &in = pixels_.shape, size = shape();
  const int64_t c_step = pixels_.interleaved ? 1 : in.height * in.width;
  const int64_t x_step = pixels_.interleaved ? in.channels : 1, y_step = in.width * x_step;
  uint8_t* out = spare(size.count());
  for (int64_t h = 0; h < size.height; ++h) {
    const uint8_t* from = pixels_.bytes + (window_.y.first + window_.y.step * h) * y_step + window_.x.first * x_step;
    for (int64_t w = 0; w < size.width; ++w, from += window_.x.step * x_step) {
      for (int64_t c = 0; c < in.channels; ++c) *out++ = from[c * c_step];
    }
  }
  take_spare(size.height, size.width);
}

}  // namespace trainer
