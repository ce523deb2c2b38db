// A hash of the appearance of a picture: pictures that look alike have hashes that differ in few bits.
//
// The picture is resized to 32x32 and made grey. Each of the 64 lowest frequencies of its cosine transform gives a bit:
// whether it is above the median of the 64. This is the pHash of the imagehash library, with another filter for the
// resizing. The hash survives another size, compression or format, but no crop, turn or mirroring.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "data/pictures/pixel_view.h"
#include "data/pictures/resample.h"

namespace trainer {

struct Appearance {
  uint64_t hash = 0;               // the lowest frequency is the highest bit; rows first
  std::array<uint8_t, 3> color{};  // the mean of blue, green and red
};

// The most bits in which the hashes of near-duplicates differ, and the most levels in which their colors do.
constexpr int kNearBits = 3;
constexpr int kNearColor = 6;

bool near(const Appearance& a, const Appearance& b);

// For one thread; reuses its memory.
class PerceptualHash {
 public:
  // nullopt for anything but a picture of bytes with 1, 3 or 4 channels and at least 16 pixels on each side, and for a
  // picture of one color, which has no appearance.
  std::optional<Appearance> of(const PixelView& pixels);

  static constexpr int kSide = 32;
  // The bits of a grey picture of kSide x kSide pixels.
  static uint64_t bits(const std::array<float, size_t{kSide} * kSide>& gray);

 private:
  Resampler resampler_;
  std::vector<uint8_t> interleaved_;
  std::vector<uint8_t> small_;
};

}  // namespace trainer
