// Computes the low frequencies of small grey pictures.
#include "data/validate/perceptual_hash.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

#include "data/pictures/formats/image_format.h"

namespace trainer {
namespace {

constexpr int kSide = PerceptualHash::kSide;
constexpr int kFrequencies = 8;  // along each axis
constexpr int kLeastSide = 16;
constexpr double kLeastDeviation = 2;  // of the grey levels of a picture with an appearance

using Basis = std::array<std::array<float, kSide>, kFrequencies>;

// The cosines of the DCT-II.
Basis make_basis() {
  Basis basis;
  for (int u = 0; u < kFrequencies; ++u) {
    for (int x = 0; x < kSide; ++x)
      basis[static_cast<size_t>(u)][static_cast<size_t>(x)] =
          static_cast<float>(std::cos(3.14159265358979323846 * u * (2 * x + 1) / (2.0 * kSide)));
  }
  return basis;
}

double deviation(const std::array<float, size_t{kSide} * kSide>& gray) {
  double sum = 0, squares = 0;
  for (const float level : gray) {
    sum += static_cast<double>(level);
    squares += static_cast<double>(level) * static_cast<double>(level);
  }
  const auto count = static_cast<double>(gray.size());
  return std::sqrt(std::max(0.0, squares / count - sum * sum / (count * count)));
}

}  // namespace

bool near(const Appearance& a, const Appearance& b) {
  for (size_t c = 0; c < a.color.size(); ++c) {
    if (std::abs(int{a.color[c]} - int{b.color[c]}) > kNearColor) return false;
  }
  return std::popcount(a.hash ^ b.hash) <= kNearBits;
}

uint64_t PerceptualHash::bits(const std::array<float, size_t{kSide} * kSide>& gray) {
  static const Basis basis = make_basis();
  constexpr auto kRow = static_cast<size_t>(kSide);
  std::array<std::array<float, kSide>, kFrequencies> columns{};  // transformed along the vertical axis
  for (size_t v = 0; v < kFrequencies; ++v) {
    for (size_t y = 0; y < kRow; ++y) {
      for (size_t x = 0; x < kRow; ++x) columns[v][x] += basis[v][y] * gray[y * kRow + x];
    }
  }
  std::array<float, size_t{kFrequencies} * kFrequencies> low{};
  for (size_t v = 0; v < kFrequencies; ++v) {
    for (size_t u = 0; u < kFrequencies; ++u) {
      for (size_t x = 0; x < kRow; ++x) low[v * kFrequencies + u] += columns[v][x] * basis[u][x];
    }
  }
  auto sorted = low;
  std::sort(sorted.begin(), sorted.end());
  const float median = 0.5f * (sorted[sorted.size() / 2 - 1] + sorted[sorted.size() / 2]);
  uint64_t hash = 0;
  for (const float value : low) hash = hash << 1 | (value > median ? 1 : 0);
  return hash;
}

std::optional<Appearance> PerceptualHash::of(const PixelView& pixels) {
  const ItemShape& shape = pixels.shape;
  const auto channels = static_cast<size_t>(shape.channels);
  if (pixels.bytes == nullptr || (channels != 1 && channels != 3 && channels != 4) || shape.height < kLeastSide ||
      shape.width < kLeastSide)
    return std::nullopt;
  const uint8_t* from = pixels.bytes;
  const auto plane = static_cast<size_t>(shape.height * shape.width);
  if (!pixels.interleaved && channels > 1) {
    interleaved_.resize(plane * channels);
    for (size_t c = 0; c < channels; ++c) {
      for (size_t i = 0; i < plane; ++i) interleaved_[i * channels + c] = from[c * plane + i];
    }
    from = interleaved_.data();
  }
  constexpr size_t kPixels = size_t{kSide} * kSide;
  small_.resize(kPixels * channels);
  resampler_.resize({from, static_cast<int>(channels), static_cast<int>(shape.height), static_cast<int>(shape.width),
                     shape.width * shape.channels},
                    kSide, kSide, ResampleFilter::kBilinear, small_.data());
  std::array<float, kPixels> gray;
  std::array<unsigned, 3> sums{};
  for (size_t i = 0; i < kPixels; ++i) {
    const uint8_t* pixel = small_.data() + i * channels;
    const size_t step = channels > 1 ? 1 : 0;
    for (size_t c = 0; c < 3; ++c) sums[c] += pixel[c * step];
    gray[i] = channels > 1 ? gray_of(pixel[0], pixel[1], pixel[2]) : pixel[0];
  }
  if (deviation(gray) < kLeastDeviation) return std::nullopt;
  Appearance appearance;
  appearance.hash = bits(gray);
  for (size_t c = 0; c < 3; ++c) appearance.color[c] = static_cast<uint8_t>((sums[c] + kPixels / 2) / kPixels);
  return appearance;
}

}  // namespace trainer
