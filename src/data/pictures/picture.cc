// Moves the image and the mask together.
#include "data/pictures/picture.h"

#include "base/error.h"

namespace trainer {

namespace {

const float kZero = 0, kOne = 1;

int64_t step_of(const std::vector<float>& values) { return values.size() == 1 ? 0 : 1; }

}  // namespace

void Picture::start(const PixelView& image) {
  image_.start(image);
  has_mask_ = false;
  mean_ = factor_ = nullptr;
  patches_.clear();
}

void Picture::start(const PixelView& image, const PixelView& mask, uint8_t ignored) {
  TRAINER_ASSERT(mask.shape.channels == 1 && mask.shape.height == image.shape.height &&
                 mask.shape.width == image.shape.width);
  start(image);
  mask_.start(mask);
  has_mask_ = true;
  ignored_ = ignored;
}

void Picture::crop(const Rectangle& part) {
  image_.crop(part);
  if (has_mask_) mask_.crop(part);
}

void Picture::flip_x() {
  image_.flip_x();
  if (has_mask_) mask_.flip_x();
}

void Picture::flip_y() {
  image_.flip_y();
  if (has_mask_) mask_.flip_y();
}

void Picture::resize(int64_t height, int64_t width, ResampleFilter filter) {
  const ItemShape size = shape();
  if (size.height == height && size.width == width) return;
  image_.resize(height, width, filter, resampler_);
  if (has_mask_) mask_.resize(height, width, ResampleFilter::kNearest, resampler_);
}

void Picture::place(int64_t height, int64_t width, int64_t y, int64_t x, uint8_t fill) {
  image_.place(height, width, y, x, fill);
  if (has_mask_) mask_.place(height, width, y, x, ignored_);
}

void Picture::warp(const WarpMap& map, bool bilinear, uint8_t fill) {
  const ItemShape size = shape();
  const auto move = [&](PixelBuffer& buffer, bool interpolated, uint8_t outside) {
    buffer.redraw(size.height, size.width,
                  [&](const PixelWindow& from, uint8_t* out) { trainer::warp(from, map, interpolated, outside, out); });
  };
  move(image_, bilinear, fill);
  if (has_mask_) move(mask_, false, ignored_);
}

ColorPixels Picture::colors() {
  const ItemShape size = shape();
  if (size.channels != 1 && size.channels != 3)
    throw data_error("it has {} channels, but steps on colors take 1 or 3", size.channels);
  return {image_.own_bytes(), static_cast<int>(size.channels), static_cast<int>(size.height),
          static_cast<int>(size.width)};
}

void Picture::sharpen(float factor) {
  const ColorPixels pixels = colors();
  scratch_.resize(static_cast<size_t>(pixels.size()));
  adjust_sharpness(pixels, factor, scratch_.data());
}

void Picture::blur(int kernel, double sigma) {
  const ItemShape size = shape();
  if (kernel / 2 >= size.height || kernel / 2 >= size.width)
    throw data_error("an image of {}x{} is too small for a blur with kernel {}", size.height, size.width, kernel);
  image_.redraw(size.height, size.width,
                [&](const PixelWindow& from, uint8_t* out) { blur_.apply(from, kernel, sigma, out); });
}

void Picture::recompress(int quality) {
  colors();  // checks the channels
  const ItemShape size = shape();
  image_.redraw(size.height, size.width,
                [&](const PixelWindow& from, uint8_t* out) { jpeg_.apply(from, quality, out); });
}

void Picture::write(bool reverse_channels, MemoryFormat order, float* out) const {
  const MeanView mean = mean_ == nullptr ? MeanView{&kZero} : MeanView{mean_->data(), step_of(*mean_)};
  const FactorView factor = factor_ == nullptr ? FactorView{&kOne} : FactorView{factor_->data(), step_of(*factor_)};
  const ItemShape size = shape();
  const ItemView item = item_view(out, size, order);
  write_item(image_.pixels(), image_.window(), reverse_channels, mean, factor, item);
  for (const Patch& patch : patches_) {
    for (int64_t c = 0; c < size.channels; ++c) {
      for (int64_t h = patch.y; h < patch.y + patch.height; ++h) {
        float* row = item.data + c * item.c_step + h * item.h_step + patch.x * item.w_step;
        for (int64_t w = 0; w < patch.width; ++w) row[w * item.w_step] = patch.value;
      }
    }
  }
}

}  // namespace trainer
