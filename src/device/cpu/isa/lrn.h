// Local response normalization by instruction set, over channels-last pixels.
#pragma once

#include <cstdint>

namespace trainer::cpu {

struct LrnWindow {
  int64_t channels, size;
  float alpha, beta, k;
};

struct LrnTable {
  // For `pixels` vectors of `channels` floats. `scratch` has lrn_scratch_floats() floats.
  void (*forward)(const LrnWindow& window, int64_t pixels, const float* x, float* y, float* scratch);
  void (*gradient)(const LrnWindow& window, int64_t pixels, const float* x, const float* g, float* dx, float* scratch);
};

// The pixels of a tile: the scratch memory fits in L1.
constexpr int64_t lrn_tile(int64_t channels) { return channels >= 2048 ? 1 : channels <= 64 ? 32 : 2048 / channels; }
// For each pixel of a tile: two vectors with padding for a window of zeros, and one without.
constexpr int64_t lrn_scratch_floats(int64_t channels, int64_t size) {
  return lrn_tile(channels) * (2 * (channels + size) + channels);
}

namespace isa_v2 {
extern const LrnTable kLrnTable;
}
namespace isa_v3 {
extern const LrnTable kLrnTable;
}
namespace isa_v4 {
extern const LrnTable kLrnTable;
}

}  // namespace trainer::cpu
