// Bytes are truncated, not rounded, where torchvision truncates. Functions of a single byte are a table.
#include "data/pictures/colors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace trainer {

namespace {

using Table = std::array<uint8_t, 256>;

uint8_t truncated(float value) { return static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f)); }

float blend(float value, float other, float factor) { return factor * value + (1 - factor) * other; }

uint8_t gray_of(const uint8_t* bgr) {
  return truncated(0.2989f * static_cast<float>(bgr[2]) + 0.587f * static_cast<float>(bgr[1]) +
                   0.114f * static_cast<float>(bgr[0]));
}

template <typename Function>
Table table_of(const Function& function) {
  Table table;
  for (size_t i = 0; i < table.size(); ++i) table[i] = function(static_cast<float>(i));
  return table;
}

void apply(const Table& table, uint8_t* bytes, int64_t count, int64_t step = 1) {
  for (int64_t i = 0; i < count; i += step) bytes[i] = table[bytes[i]];
}

std::array<int64_t, 256> histogram(const ColorPixels& image, int channel) {
  std::array<int64_t, 256> counts{};
  for (int64_t i = channel; i < image.size(); i += image.channels) ++counts[image.bytes[i]];
  return counts;
}

struct Hsv {
  float h, s, v;
};

Hsv hsv_of(float r, float g, float b) {
  const float high = std::max({r, g, b}), low = std::min({r, g, b}), range = high - low;
  if (range == 0) return {0, 0, high};
  const float rc = (high - r) / range, gc = (high - g) / range, bc = (high - b) / range;
  const float h = high == r ? bc - gc : high == g ? 2 + rc - bc : 4 + gc - rc;
  return {std::fmod(h / 6 + 1, 1.0f), range / high, high};
}

std::array<float, 3> rgb_of(const Hsv& hsv) {
  const float sixth = std::floor(hsv.h * 6), f = hsv.h * 6 - sixth, v = hsv.v;
  const auto part = [](float value) { return std::clamp(value, 0.0f, 1.0f); };
  const float p = part(v * (1 - hsv.s)), q = part(v * (1 - hsv.s * f)), t = part(v * (1 - hsv.s * (1 - f)));
  switch (static_cast<int>(sixth) % 6) {
    case 0: return {v, t, p};
    case 1: return {q, v, p};
    case 2: return {p, v, t};
    case 3: return {p, q, v};
    case 4: return {t, p, v};
    default: return {v, p, q};
  }
}

}  // namespace

void adjust_brightness(const ColorPixels& image, float factor) {
  apply(table_of([&](float value) { return truncated(factor * value); }), image.bytes, image.size());
}

void adjust_contrast(const ColorPixels& image, float factor) {
  double sum = 0;
  if (image.channels == 3) {
    for (int64_t i = 0; i < image.size(); i += 3) sum += gray_of(image.bytes + i);
  } else {
    for (int64_t i = 0; i < image.size(); ++i) sum += image.bytes[i];
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(image.pixels()));
  apply(table_of([&](float value) { return truncated(blend(value, mean, factor)); }), image.bytes, image.size());
}

void adjust_saturation(const ColorPixels& image, float factor) {
  if (image.channels != 3) return;
  for (int64_t i = 0; i < image.size(); i += 3) {
    uint8_t* pixel = image.bytes + i;
    const float gray = gray_of(pixel);
    for (int c = 0; c < 3; ++c) pixel[c] = truncated(blend(pixel[c], gray, factor));
  }
}

void adjust_sharpness(const ColorPixels& image, float factor, uint8_t* scratch) {
  if (image.height <= 2 || image.width <= 2) return;
  const int64_t row = int64_t{image.width} * image.channels;
  std::memcpy(scratch, image.bytes, static_cast<size_t>(image.size()));
  for (int64_t y = 1; y + 1 < image.height; ++y) {
    for (int64_t i = image.channels; i < row - image.channels; ++i) {
      const uint8_t* at = scratch + y * row + i;
      int sum = 4 * at[0];
      for (const int64_t line : {-row, int64_t{0}, row})
        sum += at[line - image.channels] + at[line] + at[line + image.channels];
      const float smooth = std::nearbyint(static_cast<float>(sum) / 13);
      image.bytes[y * row + i] = truncated(blend(at[0], smooth, factor));
    }
  }
}

void adjust_hue(const ColorPixels& image, float turn) {
  if (image.channels != 3 || turn == 0) return;
  for (int64_t i = 0; i < image.size(); i += 3) {
    uint8_t* bgr = image.bytes + i;
    Hsv hsv =
        hsv_of(static_cast<float>(bgr[2]) / 255, static_cast<float>(bgr[1]) / 255, static_cast<float>(bgr[0]) / 255);
    hsv.h += turn;
    hsv.h -= std::floor(hsv.h);
    const std::array<float, 3> rgb = rgb_of(hsv);
    for (size_t c = 0; c < 3; ++c) bgr[2 - c] = truncated(rgb[c] * 255.999f);
  }
}

void make_gray(const ColorPixels& image) {
  if (image.channels != 3) return;
  for (int64_t i = 0; i < image.size(); i += 3) std::fill_n(image.bytes + i, 3, gray_of(image.bytes + i));
}

void posterize(const ColorPixels& image, int bits) {
  const auto mask = static_cast<uint8_t>(0xFF00 >> bits);
  for (int64_t i = 0; i < image.size(); ++i) image.bytes[i] &= mask;
}

void solarize(const ColorPixels& image, float threshold) {
  apply(table_of([&](float value) { return truncated(value >= threshold ? 255 - value : value); }), image.bytes,
        image.size());
}

void auto_contrast(const ColorPixels& image) {
  for (int c = 0; c < image.channels; ++c) {
    uint8_t low = 255, high = 0;
    for (int64_t i = c; i < image.size(); i += image.channels) {
      low = std::min(low, image.bytes[i]);
      high = std::max(high, image.bytes[i]);
    }
    if (low >= high) continue;
    const float scale = 255.0f / static_cast<float>(high - low);
    apply(table_of([&](float value) { return truncated((value - low) * scale); }), image.bytes + c, image.size() - c,
          image.channels);
  }
}

void equalize(const ColorPixels& image) {
  for (int c = 0; c < image.channels; ++c) {
    const std::array<int64_t, 256> counts = histogram(image, c);
    const auto last = std::find_if(counts.rbegin(), counts.rend(), [](int64_t count) { return count != 0; });
    const int64_t step = (image.pixels() - *last) / 255;
    if (step == 0) continue;
    Table table;
    int64_t below = step / 2;
    for (size_t i = 0; i < table.size(); ++i) {
      table[i] = static_cast<uint8_t>(std::min<int64_t>(below / step, 255));
      below += counts[i];
    }
    apply(table, image.bytes + c, image.size() - c, image.channels);
  }
}

}  // namespace trainer
