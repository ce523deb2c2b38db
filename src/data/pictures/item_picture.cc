// An item of a batch as a picture for people.
#include "data/pictures/item_picture.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace trainer {
namespace {

// Blue, green and red; neighboring numbers differ clearly.
std::array<float, 3> color_of(float number) {
  const double hue = static_cast<double>(number) * 0.618034;
  std::array<float, 3> color;
  for (size_t c = 0; c < 3; ++c)
    color[c] = static_cast<float>(127.5 + 127.5 * std::cos(2 * 3.14159265358979 * (hue - static_cast<double>(c) / 3)));
  return color;
}

}  // namespace

ItemPicture::ItemPicture(const Shape& shape, std::span<const float> values, const ItemColors& colors)
    : channels_(static_cast<int>(shape[1])),
      height_(static_cast<int>(shape[2])),
      width_(static_cast<int>(shape[3])),
      pixels_(static_cast<size_t>(shape.count(1))) {
  const int64_t plane = shape.count(2);
  for (int64_t c = 0; c < channels_; ++c) {
    const int64_t to = colors.rgb && channels_ == 3 ? 2 - c : c;
    for (int64_t i = 0; i < plane; ++i) {
      const float value = colors.pixel(values[static_cast<size_t>(c * plane + i)], c);
      pixels_[static_cast<size_t>(i * channels_ + to)] =
          static_cast<uint8_t>(std::nearbyint(std::isfinite(value) ? std::clamp(value, 0.0f, 255.0f) : 0.0f));
    }
  }
}

void ItemPicture::overlay(std::span<const float> classes) {
  std::vector<uint8_t> colored;
  for (size_t i = 0; i < classes.size(); ++i) {
    const std::array<float, 3> color = color_of(classes[i]);
    for (size_t c = 0; c < 3; ++c) {
      const float value = pixels_[i * static_cast<size_t>(channels_) + (channels_ == 3 ? c : 0)];
      colored.push_back(static_cast<uint8_t>(classes[i] == 0 ? value : 0.5f * value + 0.5f * color[c]));
    }
  }
  pixels_ = std::move(colored);
  channels_ = 3;
}

PixelWindow ItemPicture::window() const { return {pixels_.data(), channels_, height_, width_, width_ * channels_}; }

}  // namespace trainer
