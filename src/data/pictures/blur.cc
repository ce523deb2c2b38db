// Columns first, then rows, in floats.
#include "data/pictures/blur.h"

#include <cmath>
#include <cstdlib>

namespace trainer {

namespace {

// The index that a reflected border shows.
int reflected(int i, int count) {
  i = std::abs(i);
  return i < count ? i : 2 * (count - 1) - i;
}

}  // namespace

void GaussianBlur::apply(const PixelWindow& window, int kernel, double sigma, uint8_t* out) {
  const int half = kernel / 2, bytes = window.width * window.channels;
  weights_.resize(static_cast<size_t>(kernel));
  double total = 0;
  for (int i = 0; i < kernel; ++i) total += std::exp(-0.5 * (i - half) * (i - half) / (sigma * sigma));
  for (int i = 0; i < kernel; ++i)
    weights_[static_cast<size_t>(i)] =
        static_cast<float>(std::exp(-0.5 * (i - half) * (i - half) / (sigma * sigma)) / total);
  line_.resize(static_cast<size_t>(bytes + 2 * half * window.channels));
  sums_.resize(static_cast<size_t>(bytes));
  float* const line = line_.data() + half * window.channels;
  float* const sums = sums_.data();
  for (int y = 0; y < window.height; ++y, out += bytes) {
    for (int i = 0; i < bytes; ++i) line[i] = 0;
    for (int t = 0; t < kernel; ++t) {
      const uint8_t* row = window.pixels + reflected(y + t - half, window.height) * window.row_bytes;
      const float weight = weights_[static_cast<size_t>(t)];
      for (int i = 0; i < bytes; ++i) line[i] += weight * static_cast<float>(row[i]);
    }
    for (int x = 1; x <= half; ++x) {
      for (int c = 0; c < window.channels; ++c) {
        line[-x * window.channels + c] = line[x * window.channels + c];
        line[(window.width - 1 + x) * window.channels + c] = line[(window.width - 1 - x) * window.channels + c];
      }
    }
    for (int i = 0; i < bytes; ++i) sums[i] = 0;
    for (int t = 0; t < kernel; ++t) {
      const float* from = line + (t - half) * window.channels;
      const float weight = weights_[static_cast<size_t>(t)];
      for (int i = 0; i < bytes; ++i) sums[i] += weight * from[i];
    }
    for (int i = 0; i < bytes; ++i) out[i] = static_cast<uint8_t>(std::nearbyint(sums[i]));
  }
}

}  // namespace trainer
