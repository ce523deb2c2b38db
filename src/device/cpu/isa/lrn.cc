// Local response normalization across channels: window sums are shifted adds over the channels of a pixel, in L1.
//
// Each step runs for all pixels of a tile before the next step. Otherwise a shifted load right after the store of its
// data would wait for the store buffer.
#include "device/cpu/isa/lrn.h"

#include "device/cpu/isa/lanes.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

// s^-beta. Square roots where possible, because powf does not vectorize.
struct ThreeQuarters {
  static TRAINER_INLINE float power(float s, float) {
    const float root = __builtin_sqrtf(s);
    return 1.0f / (root * __builtin_sqrtf(root));
  }
};
struct Half {
  static TRAINER_INLINE float power(float s, float) { return 1.0f / __builtin_sqrtf(s); }
};
struct One {
  static TRAINER_INLINE float power(float s, float) { return 1.0f / s; }
};
struct Any {
  static TRAINER_INLINE float power(float s, float beta) { return __builtin_powf(s, -beta); }
};

// The sum of in[0 .. size). A constant size lets the compiler vectorize the loop over channels.
template <int kSize>
TRAINER_INLINE float window_sum(const float* in, int64_t size) {
  float sum = in[0];
  if constexpr (kSize > 0) {
    for (int i = 1; i < kSize; ++i) sum += in[i];
  } else {
    for (int64_t i = 1; i < size; ++i) sum += in[i];
  }
  return sum;
}

struct Tile {
  float *square, *ratio, *power;
  int64_t step, before, after;
  TRAINER_INLINE Tile(const LrnWindow& l, float* scratch)
      : step(l.channels + l.size), before((l.size - 1) / 2), after(l.size - 1 - before) {
    const int64_t count = lrn_tile(l.channels) * step;
    square = scratch;
    ratio = scratch + count;
    power = ratio + count;
    for (int64_t i = 0; i < 2 * count; ++i) scratch[i] = 0;
  }
};

TRAINER_INLINE void squares(const LrnWindow& l, const Tile& t, int64_t pixels, const float* __restrict x) {
  for (int64_t p = 0; p < pixels; ++p) {
    float* __restrict square = t.square + p * t.step + t.before;
    for (int64_t c = 0; c < l.channels; ++c) square[c] = x[p * l.channels + c] * x[p * l.channels + c];
  }
}

template <typename Power, int kSize>
void forward_sized(const LrnWindow& l, int64_t pixels, const float* __restrict x, float* __restrict y, float* scratch) {
  const Tile t(l, scratch);
  const float factor = l.alpha / static_cast<float>(l.size), k = l.k, beta = l.beta;
  const int64_t tile = lrn_tile(l.channels), channels = l.channels, size = l.size;
  for (int64_t first = 0; first < pixels; first += tile) {
    const int64_t count = min64(tile, pixels - first);
    squares(l, t, count, x + first * channels);
    for (int64_t p = 0; p < count; ++p) {
      const float* __restrict square = t.square + p * t.step;
      const float* __restrict from = x + (first + p) * channels;
      float* __restrict to = y + (first + p) * channels;
      for (int64_t c = 0; c < channels; ++c) {
        to[c] = from[c] * Power::power(k + factor * window_sum<kSize>(square + c, size), beta);
      }
    }
  }
}

template <typename Power, int kSize>
void gradient_sized(const LrnWindow& l, int64_t pixels, const float* __restrict x, const float* __restrict g,
                    float* __restrict dx, float* scratch) {
  const Tile t(l, scratch);
  const float factor = l.alpha / static_cast<float>(l.size), k = l.k, beta = l.beta, slope = 2 * beta * factor;
  const int64_t tile = lrn_tile(l.channels), channels = l.channels, size = l.size;
  for (int64_t first = 0; first < pixels; first += tile) {
    const int64_t count = min64(tile, pixels - first);
    squares(l, t, count, x + first * channels);
    for (int64_t p = 0; p < count; ++p) {
      const int64_t at = (first + p) * channels;
      const float* __restrict square = t.square + p * t.step;
      float* __restrict ratio = t.ratio + p * t.step + t.after;
      float* __restrict power = t.power + p * channels;
      for (int64_t c = 0; c < channels; ++c) {
        const float s = k + factor * window_sum<kSize>(square + c, size);
        power[c] = Power::power(s, beta);
        ratio[c] = g[at + c] * x[at + c] * power[c] / s;
      }
    }
    for (int64_t p = 0; p < count; ++p) {
      const int64_t at = (first + p) * channels;
      const float* __restrict ratio = t.ratio + p * t.step;
      const float* __restrict power = t.power + p * channels;
      for (int64_t c = 0; c < channels; ++c) {
        dx[at + c] = g[at + c] * power[c] - slope * x[at + c] * window_sum<kSize>(ratio + c, size);
      }
    }
  }
}

template <typename Power>
void forward_of(const LrnWindow& l, int64_t pixels, const float* x, float* y, float* scratch) {
  switch (l.size) {
    case 3: return forward_sized<Power, 3>(l, pixels, x, y, scratch);
    case 5: return forward_sized<Power, 5>(l, pixels, x, y, scratch);
    default: return forward_sized<Power, 0>(l, pixels, x, y, scratch);
  }
}

template <typename Power>
void gradient_of(const LrnWindow& l, int64_t pixels, const float* x, const float* g, float* dx, float* scratch) {
  switch (l.size) {
    case 3: return gradient_sized<Power, 3>(l, pixels, x, g, dx, scratch);
    case 5: return gradient_sized<Power, 5>(l, pixels, x, g, dx, scratch);
    default: return gradient_sized<Power, 0>(l, pixels, x, g, dx, scratch);
  }
}

void forward(const LrnWindow& l, int64_t pixels, const float* x, float* y, float* scratch) {
  if (l.beta == 0.75f) return forward_of<ThreeQuarters>(l, pixels, x, y, scratch);
  if (l.beta == 0.5f) return forward_of<Half>(l, pixels, x, y, scratch);
  if (l.beta == 1.0f) return forward_of<One>(l, pixels, x, y, scratch);
  return forward_of<Any>(l, pixels, x, y, scratch);
}

void gradient(const LrnWindow& l, int64_t pixels, const float* x, const float* g, float* dx, float* scratch) {
  if (l.beta == 0.75f) return gradient_of<ThreeQuarters>(l, pixels, x, g, dx, scratch);
  if (l.beta == 0.5f) return gradient_of<Half>(l, pixels, x, g, dx, scratch);
  if (l.beta == 1.0f) return gradient_of<One>(l, pixels, x, g, dx, scratch);
  return gradient_of<Any>(l, pixels, x, g, dx, scratch);
}

}  // namespace

const LrnTable kLrnTable = {forward, gradient};

}  // namespace trainer::cpu::TRAINER_ISA
