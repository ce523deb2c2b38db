// Depthwise convolution over channels-last tensors: a block of channels stays in registers over its window.
#include "device/cpu/isa/depthwise.h"

#include "device/cpu/isa/lanes.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

// Calls body(tap, offset of the input pixel) for the taps of output place `p` that are not padding.
template <typename Body>
TRAINER_INLINE void each_tap(const PoolGeometry& g, const Position& p, const Body& body) {
  const Windows& w = g.windows;
  for (int64_t kd = 0; kd < w.kernel[0]; ++kd) {
    const int64_t d = p.at[0] * w.stride[0] - w.pad[0] + kd * w.dilation[0];
    if (d < 0 || d >= w.in[0]) continue;
    for (int64_t kh = 0; kh < w.kernel[1]; ++kh) {
      const int64_t h = p.at[1] * w.stride[1] - w.pad[1] + kh * w.dilation[1];
      if (h < 0 || h >= w.in[1]) continue;
      for (int64_t kw = 0; kw < w.kernel[2]; ++kw) {
        const int64_t column = p.at[2] * w.stride[2] - w.pad[2] + kw * w.dilation[2];
        if (column < 0 || column >= w.in[2]) continue;
        const int64_t pixel = ((p.n * w.in[0] + d) * w.in[1] + h) * w.in[2] + column;
        body((kd * w.kernel[1] + kh) * w.kernel[2] + kw, pixel * g.channels);
      }
    }
  }
}

// Calls body(tap, offset of the output place) for the outputs whose tap is input place `p`.
template <typename Body>
TRAINER_INLINE void each_use(const PoolGeometry& g, const Position& p, const Body& body) {
  const Windows& w = g.windows;
  for (int64_t kd = 0; kd < w.kernel[0]; ++kd) {
    const int64_t d = p.at[0] + w.pad[0] - kd * w.dilation[0];
    if (d < 0 || d % w.stride[0] != 0 || d / w.stride[0] >= w.out[0]) continue;
    for (int64_t kh = 0; kh < w.kernel[1]; ++kh) {
      const int64_t h = p.at[1] + w.pad[1] - kh * w.dilation[1];
      if (h < 0 || h % w.stride[1] != 0 || h / w.stride[1] >= w.out[1]) continue;
      for (int64_t kw = 0; kw < w.kernel[2]; ++kw) {
        const int64_t column = p.at[2] + w.pad[2] - kw * w.dilation[2];
        if (column < 0 || column % w.stride[2] != 0 || column / w.stride[2] >= w.out[2]) continue;
        const int64_t place = ((p.n * w.out[0] + d / w.stride[0]) * w.out[1] + h / w.stride[1]) * w.out[2] +
                              column / w.stride[2];
        body((kd * w.kernel[1] + kh) * w.kernel[2] + kw, place * g.channels);
      }
    }
  }
}

// to[c] = sum over the taps of from[c] * filters[tap][c]; forward walks an output's taps, backward an input's
// uses.
template <bool kForward>
struct SumBlock {
  const PoolGeometry& g;
  const Position& p;
  const float* from;
  const float* filters;
  float* to;

  template <int N>
  TRAINER_INLINE void run(int64_t c) const {
    using F = typename Lanes<N>::F;
    F sum = F{};
    const auto add = [&](int64_t tap, int64_t at) __attribute__((always_inline)) {
      sum += load<F>(from + at + c) * load<F>(filters + tap * g.channels + c);
    };
    if constexpr (kForward) {
      each_tap(g, p, add);
    } else {
      each_use(g, p, add);
    }
    store(to + c, sum);
  }
};

void forward(const PoolGeometry& g, const float* x, const float* filters, float* y, int64_t begin,
             int64_t end) {
  Position p(begin, g.windows.out);
  for (int64_t i = begin; i < end; ++i, p.step(g.windows.out)) {
    each_channel_block(g.channels, SumBlock<true>{g, p, x, filters, y + i * g.channels});
  }
}

void input_gradient(const PoolGeometry& g, const float* gradient, const float* filters, float* x,
                    int64_t begin, int64_t end) {
  Position p(begin, g.windows.in);
  for (int64_t i = begin; i < end; ++i, p.step(g.windows.in)) {
    each_channel_block(g.channels, SumBlock<false>{g, p, gradient, filters, x + i * g.channels});
  }
}

void weight_gradient(const PoolGeometry& g, const float* x, const float* gradient, float* filters,
                     int64_t begin, int64_t end) {
  Position p(begin, g.windows.out);
  for (int64_t i = begin; i < end; ++i, p.step(g.windows.out)) {
    const float* __restrict from = gradient + i * g.channels;
    each_tap(
        g, p, [&](int64_t tap, int64_t at) __attribute__((always_inline)) {
          const float* __restrict pixel = x + at;
          float* __restrict to = filters + tap * g.channels;
          for (int64_t c = 0; c < g.channels; ++c) to[c] += pixel[c] * from[c];
        });
  }
}

}  // namespace

const DepthwiseTable kDepthwiseTable = {forward, input_gradient, weight_gradient};

}  // namespace trainer::cpu::TRAINER_ISA
