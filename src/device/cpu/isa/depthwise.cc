// Depthwise convolution over channels-last tensors: the sums of a block of channels stay in registers over the window.
#include "device/cpu/isa/depthwise.h"

#include "device/cpu/isa/lanes.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

// Calls body(tap, offset of the input pixel) for the taps of output `p` that are not padding.
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

// Calls body(tap, offset of the output pixel) for the outputs that read input `p` at `tap`.
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
        const int64_t place =
            ((p.n * w.out[0] + d / w.stride[0]) * w.out[1] + h / w.stride[1]) * w.out[2] + column / w.stride[2];
        body((kd * w.kernel[1] + kh) * w.kernel[2] + kw, place * g.channels);
      }
    }
  }
}

// to[c] = sum over the taps of from[c] * filters[tap][c]: forward over the taps of an output, backward over the outputs
// that read an input.
template <bool kForward, typename T>
struct SumBlock {
  const PoolGeometry& g;
  const Position& p;
  const T* from;
  const float* filters;
  const ChannelEpilogue& epilogue;
  T* to;

  template <int N>
  TRAINER_INLINE void run(int64_t c) const {
    using F = typename Lanes<N>::F;
    F sum = F{};
    const auto add = [&](int64_t tap, int64_t at) __attribute__((always_inline)) {
      sum += load_floats<N>(from + at + c) * load<F>(filters + tap * g.channels + c);
    };
    if constexpr (kForward) {
      each_tap(g, p, add);
    } else {
      each_use(g, p, add);
    }
    const F bias = epilogue.bias != nullptr ? load<F>(epilogue.bias + c) : F{};
    store_floats<N>(to + c, with_relu(sum + bias, epilogue.slope));
  }
};

template <typename T>
void forward(const PoolGeometry& g, const T* x, const float* filters, const ChannelEpilogue& epilogue, T* y,
             int64_t begin, int64_t end) {
  Position p(begin, g.windows.out);
  for (int64_t i = begin; i < end; ++i, p.step(g.windows.out)) {
    each_channel_block(g.channels, SumBlock<true, T>{g, p, x, filters, epilogue, y + i * g.channels});
  }
}

template <typename T>
void input_gradient(const PoolGeometry& g, const T* gradient, const float* filters, const ChannelEpilogue& epilogue,
                    T* x, int64_t begin, int64_t end) {
  Position p(begin, g.windows.in);
  for (int64_t i = begin; i < end; ++i, p.step(g.windows.in)) {
    each_channel_block(g.channels, SumBlock<false, T>{g, p, gradient, filters, epilogue, x + i * g.channels});
  }
}

template <typename T>
void weight_gradient(const PoolGeometry& g, const T* x, const T* gradient, float* filters, int64_t begin, int64_t end) {
  Position p(begin, g.windows.out);
  for (int64_t i = begin; i < end; ++i, p.step(g.windows.out)) {
    const T* __restrict from = gradient + i * g.channels;
    each_tap(
        g, p, [&](int64_t tap, int64_t at) __attribute__((always_inline)) {
          const T* __restrict pixel = x + at;
          float* __restrict to = filters + tap * g.channels;
          for (int64_t c = 0; c < g.channels; ++c) to[c] += load_floats<1>(pixel + c) * load_floats<1>(from + c);
        });
  }
}

// Rows of 3x3 windows: where no tap is padding, the filter of a channel block or its sums stay in registers along a
// row.
using F = Lanes<kNative>::F;
constexpr int kSide = 3;

template <typename T>
struct RowPart {
  int64_t begin, end;  // columns whose windows are inside the image
  const T* x;          // the first pixel of the window of column 0, which may be outside the image

  TRAINER_INLINE RowPart(const PoolGeometry& g, const T* tensor, int64_t row) {
    const Windows& w = g.windows;
    const int64_t s = w.stride[1], top = row % w.out[1] * s - w.pad[1];
    begin = (w.pad[2] + s - 1) / s;
    end = w.in[2] + w.pad[2] >= kSide ? min64(w.out[2], (w.in[2] + w.pad[2] - kSide) / s + 1) : 0;
    if (top < 0 || top + kSide > w.in[1] || begin > end) begin = end = 0;
    x = tensor + ((row / w.out[1] * w.in[1] + top) * w.in[2] - w.pad[2]) * g.channels;
  }
};

// Computes y of `Columns` neighbors at once, because they share most inputs.
template <int Stride, int Columns, bool Around, typename T>
TRAINER_INLINE void filter_columns(const T* x, int64_t line, int64_t channels, const F (&filter)[kSide * kSide], F bias,
                                   float slope, T* y) {
  F sums[Columns] = {};
#pragma GCC unroll 3
  for (int row = 0; row < kSide; ++row) {
#pragma GCC unroll 8
    for (int column = 0; column < (Columns - 1) * Stride + kSide; ++column) {
      const F value = load_floats<kNative>(x + row * line + column * channels);
#pragma GCC unroll 4
      for (int i = 0; i < Columns; ++i) {
        const int tap = column - i * Stride;
        if (tap >= 0 && tap < kSide) sums[i] += value * filter[row * kSide + tap];
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < Columns; ++i) {
    const F value = with_relu(sums[i] + bias, slope);
    if constexpr (Around) {
      stream(y + i * channels, value);
    } else {
      store_floats<kNative>(y + i * channels, value);
    }
  }
}

template <int Stride, bool Around, typename T>
TRAINER_INLINE void filter_row(const PoolGeometry& g, const RowPart<T>& part, const float* filters,
                               const ChannelEpilogue& epilogue, T* y) {
  constexpr int kColumns = 4;
  const int64_t line = g.windows.in[2] * g.channels, step = Stride * g.channels;
  for (int64_t c = 0; c < g.channels; c += kNative) {
    F filter[kSide * kSide];
#pragma GCC unroll 9
    for (int tap = 0; tap < kSide * kSide; ++tap) filter[tap] = load<F>(filters + tap * g.channels + c);
    const F bias = epilogue.bias != nullptr ? load<F>(epilogue.bias + c) : F{};
    int64_t i = part.begin;
    for (; i + kColumns <= part.end; i += kColumns)
      filter_columns<Stride, kColumns, Around>(part.x + i * step + c, line, g.channels, filter, bias, epilogue.slope,
                                               y + i * g.channels + c);
    for (; i < part.end; ++i)
      filter_columns<Stride, 1, Around>(part.x + i * step + c, line, g.channels, filter, bias, epilogue.slope,
                                        y + i * g.channels + c);
  }
}

template <int Stride, bool Around, typename T>
void forward_rows(const PoolGeometry& g, const T* x, const float* filters, const ChannelEpilogue& epilogue, T* y,
                  int64_t begin, int64_t end) {
  const int64_t columns = g.windows.out[2];
  for (int64_t row = begin; row < end; ++row) {
    const RowPart<T> part(g, x, row);
    forward(g, x, filters, epilogue, y, row * columns, row * columns + part.begin);
    filter_row<Stride, Around>(g, part, filters, epilogue, y + row * columns * g.channels);
    forward(g, x, filters, epilogue, y, row * columns + part.end, (row + 1) * columns);
  }
  // Makes non-temporal stores visible to other cores.
  if (Around) _mm_sfence();
}

template <typename T>
void any_forward_rows(const PoolGeometry& g, const T* x, const float* filters, const ChannelEpilogue& epilogue, T* y,
                      int64_t begin, int64_t end, bool around) {
  const bool every = g.windows.stride[1] == 1;
  if constexpr (sizeof(T) == sizeof(float)) {
    if (around)
      return (every ? forward_rows<1, true, T> : forward_rows<2, true, T>)(g, x, filters, epilogue, y, begin, end);
  }
  (every ? forward_rows<1, false, T> : forward_rows<2, false, T>)(g, x, filters, epilogue, y, begin, end);
}

template <typename T>
void weight_gradient_rows(const PoolGeometry& g, const T* x, const T* gradient, float* filters, int64_t begin,
                          int64_t end) {
  const int64_t columns = g.windows.out[2], line = g.windows.in[2] * g.channels,
                step = g.windows.stride[1] * g.channels;
  for (int64_t row = begin; row < end; ++row) {
    const RowPart<T> part(g, x, row);
    weight_gradient(g, x, gradient, filters, row * columns, row * columns + part.begin);
    for (int64_t c = 0; c < g.channels && part.begin < part.end; c += kNative) {
      F sums[kSide * kSide];
#pragma GCC unroll 9
      for (int tap = 0; tap < kSide * kSide; ++tap) sums[tap] = load<F>(filters + tap * g.channels + c);
      for (int64_t i = part.begin; i < part.end; ++i) {
        const F value = load_floats<kNative>(gradient + (row * columns + i) * g.channels + c);
        const T* pixel = part.x + i * step + c;
#pragma GCC unroll 9
        for (int tap = 0; tap < kSide * kSide; ++tap)
          sums[tap] += value * load_floats<kNative>(pixel + tap / kSide * line + tap % kSide * g.channels);
      }
#pragma GCC unroll 9
      for (int tap = 0; tap < kSide * kSide; ++tap) store(filters + tap * g.channels + c, sums[tap]);
    }
    weight_gradient(g, x, gradient, filters, row * columns + part.end, (row + 1) * columns);
  }
}

template <typename T>
constexpr DepthwiseTable<T> table() {
  return {forward<T>, input_gradient<T>, weight_gradient<T>, any_forward_rows<T>, weight_gradient_rows<T>};
}

}  // namespace

const ByType<DepthwiseTable> kDepthwiseTables = {table<float>(), table<Bf16>()};

}  // namespace trainer::cpu::TRAINER_ISA
