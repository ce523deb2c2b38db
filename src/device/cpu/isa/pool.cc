// Max and sum pooling over channels-last tensors: the results of a block of channels stay in registers over the window.
#include "device/cpu/isa/pool.h"

#include <cfloat>

#include "device/cpu/isa/lanes.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

// A box of positions, [begin, end) per axis: the inputs of a window, or the outputs whose windows contain an input.
struct Box {
  int64_t begin[3], end[3];
};

// The inputs in the window of output `o`. Sets `first` to the start of the unclipped window.
TRAINER_INLINE Box window_of(const Windows& w, const int64_t (&o)[3], int64_t (&first)[3]) {
  Box box;
  for (int d = 0; d < 3; ++d) {
    first[d] = o[d] * w.stride[d] - w.pad[d];
    box.begin[d] = max64(first[d], 0);
    box.end[d] = min64(first[d] + w.kernel[d], w.in[d]);
  }
  return box;
}

// The outputs along one axis whose windows contain input `i`.
TRAINER_INLINE void outputs_over(const Windows& w, int axis, int64_t i, Box* box) {
  const int64_t last = i + w.pad[axis], reach = last - w.kernel[axis] + 1;
  box->begin[axis] = reach <= 0 ? 0 : (reach + w.stride[axis] - 1) / w.stride[axis];
  box->end[axis] = min64(last / w.stride[axis] + 1, w.out[axis]);
}

// Calls body(index, position, outputs whose windows contain it) for the input pixels [begin, end). The outputs along
// the outer axes are computed once per row, because a division takes as long as a block of channels.
template <typename Body>
TRAINER_INLINE void each_input(const PoolGeometry& g, int64_t begin, int64_t end, const Body& body) {
  const Windows& w = g.windows;
  Position p(begin, w.in);
  Box box;
  for (int64_t i = begin; i < end;) {
    outputs_over(w, 0, p.at[0], &box);
    outputs_over(w, 1, p.at[1], &box);
    const int64_t row = min64(end - i, w.in[2] - p.at[2]);
    for (int64_t k = 0; k < row; ++k, ++i, p.step(w.in)) {
      outputs_over(w, 2, p.at[2], &box);
      body(i, p, box);
    }
  }
}

// Calls body(offset of channel 0, position) for the box of image n with the extents `extents`.
template <typename Body>
TRAINER_INLINE void each_place(const Box& box, int64_t n, const int64_t (&extents)[3], int64_t channels,
                               const Body& body) {
  for (int64_t d = box.begin[0]; d < box.end[0]; ++d) {
    for (int64_t h = box.begin[1]; h < box.end[1]; ++h) {
      const int64_t row = ((n * extents[0] + d) * extents[1] + h) * extents[2];
      for (int64_t w = box.begin[2]; w < box.end[2]; ++w) body((row + w) * channels, d, h, w);
    }
  }
}

template <typename T, typename Winner>
struct MaxBlock {
  const PoolGeometry& g;
  const Box& box;
  const int64_t (&first)[3];
  int64_t n;
  const T* x;
  T* y;
  Winner* winner;

  template <int N>
  TRAINER_INLINE void run(int64_t c) const {
    using F = typename Lanes<N>::F;
    using I = typename Lanes<N>::I;
    F best = broadcast<N>(-FLT_MAX);
    I offset = I{} - 1;
    const Windows& w = g.windows;
    each_place(
        box, n, w.in, g.channels, [&](int64_t at, int64_t id, int64_t ih, int64_t iw) __attribute__((always_inline)) {
          const int32_t tap =
              static_cast<int32_t>(((id - first[0]) * w.kernel[1] + ih - first[1]) * w.kernel[2] + iw - first[2]);
          const F value = load_floats<N>(x + at + c);
          const auto better = value > best;
          best = better ? value : best;
          offset = better ? I{} + tap : offset;
        });
    store_floats<N>(y + c, best);
    store_offsets<N>(winner + c, offset);
  }
};

template <typename T, typename Winner>
void max_pool(const PoolGeometry& g, const T* x, T* y, Winner* winner, int64_t begin, int64_t end) {
  Position p(begin, g.windows.out);
  for (int64_t i = begin; i < end; ++i, p.step(g.windows.out)) {
    int64_t first[3];
    const Box box = window_of(g.windows, p.at, first);
    each_channel_block(g.channels,
                       MaxBlock<T, Winner>{g, box, first, p.n, x, y + i * g.channels, winner + i * g.channels});
  }
}

// Adds the gradient of an output to the winning input: each tap of the window gets the lanes in which it is the winner.
template <typename T, typename Winner>
struct MaxGradientBlock {
  const PoolGeometry& g;
  const Box& box;
  const int64_t (&first)[3];
  int64_t n;
  const T* gradient;
  const Winner* winner;
  T* x;

  // For one channel, computes the position of the winner. Adds nothing if there is no winner inside the input.
  TRAINER_INLINE void add_one(const Windows& w, int32_t offset, float value, T* to) const {
    const int32_t rows = static_cast<int32_t>(w.kernel[1]), columns = static_cast<int32_t>(w.kernel[2]);
    const int64_t d = first[0] + offset / columns / rows, h = first[1] + offset / columns % rows,
                  column = first[2] + offset % columns;
    const bool inside = offset >= 0 && d >= box.begin[0] && d < box.end[0] && h >= box.begin[1] && h < box.end[1] &&
                        column >= box.begin[2] && column < box.end[2];
    if (!inside) return;
    T* pixel = to + (((n * w.in[0] + d) * w.in[1] + h) * w.in[2] + column) * g.channels;
    store_floats<1>(pixel, load_floats<1>(pixel) + value);
  }

  template <int N>
  TRAINER_INLINE void run(int64_t c) const {
    using F = typename Lanes<N>::F;
    using I = typename Lanes<N>::I;
    const F value = load_floats<N>(gradient + c);
    const I offset = load_offsets<N>(winner + c);
    const Windows& w = g.windows;
    if constexpr (N == 1) {
      add_one(w, offset, value, x + c);
      return;
    }
    each_place(
        box, n, w.in, g.channels, [&](int64_t at, int64_t id, int64_t ih, int64_t iw) __attribute__((always_inline)) {
          const int32_t tap =
              static_cast<int32_t>(((id - first[0]) * w.kernel[1] + ih - first[1]) * w.kernel[2] + iw - first[2]);
          const auto won = offset == I{} + tap;
          store_floats<N>(x + at + c, load_floats<N>(x + at + c) + (won ? value : F{}));
        });
  }
};

// Visits the output rows in order, and zeroes an input row just before the first window that contains it.
template <typename T, typename Winner>
void max_pool_gradient(const PoolGeometry& g, const T* gradient, const Winner* winner, T* x, int64_t n, int64_t begin,
                       int64_t end) {
  const Windows& w = g.windows;
  const int64_t input_rows = w.in[0] * w.in[1], outputs = w.out[0] * w.out[1] * w.out[2];
  int64_t zeroed = 0;
  Position p(n * outputs, w.out);
  for (int64_t i = n * outputs; i < (n + 1) * outputs; ++i, p.step(w.out)) {
    int64_t first[3];
    const Box box = window_of(w, p.at, first);
    const int64_t needed = i + 1 == (n + 1) * outputs ? input_rows : (box.end[0] - 1) * w.in[1] + box.end[1];
    for (; zeroed < needed; ++zeroed) {
      for (int64_t k = 0; k < w.in[2]; ++k) {
        T* pixel = x + ((n * input_rows + zeroed) * w.in[2] + k) * g.channels;
        for (int64_t c = begin; c < end; ++c) pixel[c] = T{};
      }
    }
    each_channel_once(
        begin, end,
        MaxGradientBlock<T, Winner>{g, box, first, n, gradient + i * g.channels, winner + i * g.channels, x});
  }
}

template <typename T>
struct SumBlock {
  const Box& box;
  const int64_t (&extents)[3];  // of `from`
  int64_t n, channels;
  const T* from;
  T* to;

  template <int N>
  TRAINER_INLINE void run(int64_t c) const {
    using F = typename Lanes<N>::F;
    F sum = F{};
    each_place(
        box, n, extents, channels, [&](int64_t at, int64_t, int64_t, int64_t) __attribute__((always_inline)) {
          sum += load_floats<N>(from + at + c);
        });
    store_floats<N>(to + c, sum);
  }
};

template <typename T>
void sum_pool(const PoolGeometry& g, const T* x, T* y, int64_t begin, int64_t end) {
  Position p(begin, g.windows.out);
  for (int64_t i = begin; i < end; ++i, p.step(g.windows.out)) {
    int64_t first[3];
    const Box box = window_of(g.windows, p.at, first);
    each_channel_block(g.channels, SumBlock<T>{box, g.windows.in, p.n, g.channels, x, y + i * g.channels});
  }
}

template <typename T>
void sum_pool_gradient(const PoolGeometry& g, const T* gradient, T* x, int64_t begin, int64_t end) {
  each_input(
      g, begin, end, [&](int64_t i, const Position& p, const Box& box) __attribute__((always_inline)) {
        each_channel_block(g.channels, SumBlock<T>{box, g.windows.out, p.n, g.channels, gradient, x + i * g.channels});
      });
}

template <typename T>
constexpr PoolTable<T> table() {
  return {max_pool<T, uint8_t>,          max_pool<T, int32_t>, max_pool_gradient<T, uint8_t>,
          max_pool_gradient<T, int32_t>, sum_pool<T>,          sum_pool_gradient<T>};
}

}  // namespace

const ByType<PoolTable> kPoolTables = {table<float>(), table<Bf16>()};

}  // namespace trainer::cpu::TRAINER_ISA
