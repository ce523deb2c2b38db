// Reductions, fills and conversions over the rows of a tile.
#include "device/cpu/isa/map_rows.h"

#include "device/cpu/isa/map_functions.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

struct Sum {
  static constexpr float kStart = 0;
  template <typename V>
  static TRAINER_INLINE V join(V a, V b) {
    return a + b;
  }
};
struct Max {
  static constexpr float kStart = -__builtin_inff();
  template <typename V>
  static TRAINER_INLINE V join(V a, V b) {
    return (is_nan(a) | (a > b)) ? a : b;
  }
};

template <typename Reduce, int kLanes>
TRAINER_INLINE double across(const float* x) {
  if constexpr (kLanes == 1) {
    return static_cast<double>(x[0]);
  } else {
    using Half = typename Lanes<kLanes / 2>::F;
    float joined[kLanes / 2];
    store(joined, Reduce::join(load<Half>(x), load<Half>(x + kLanes / 2)));
    return across<Reduce, kLanes / 2>(joined);
  }
}

template <typename Reduce>
TRAINER_INLINE double across(F v) {
  float lanes[kWidth];
  store(lanes, v);
  return across<Reduce, kWidth>(lanes);
}

// The first n < kWidth floats. The other lanes get the neutral element of the reduction.
template <typename Reduce>
TRAINER_INLINE F load_row_end(const float* x, int64_t n) {
  I lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = i;
  return lane < static_cast<int32_t>(n) ? load_first(x, n) : set(Reduce::kStart);
}

template <typename Reduce>
TRAINER_INLINE void reduce_each_row(double* to, const float* x, int64_t rows, int64_t n) {
  for (int64_t row = 0; row < rows; ++row, x += n) {
    F lanes[4] = {set(Reduce::kStart), set(Reduce::kStart), set(Reduce::kStart), set(Reduce::kStart)};
    int64_t i = 0;
    for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) lanes[u] = Reduce::join(lanes[u], load<F>(x + i + u * kWidth));
    }
    for (; i + kWidth <= n; i += kWidth) lanes[0] = Reduce::join(lanes[0], load<F>(x + i));
    if (i < n) lanes[1] = Reduce::join(lanes[1], load_row_end<Reduce>(x + i, n - i));
    const F joined = Reduce::join(Reduce::join(lanes[0], lanes[1]), Reduce::join(lanes[2], lanes[3]));
    to[row] = Reduce::join(to[row], across<Reduce>(joined));
  }
}

template <typename Reduce>
TRAINER_INLINE void reduce_rows(double* to, const float* x, int64_t rows, int64_t n) {
  typedef float H __attribute__((vector_size(kWidth * 2)));
  constexpr int kHalf = kWidth / 2;
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    F lanes = load<F>(x + i);
    for (int64_t row = 1; row < rows; ++row) lanes = Reduce::join(lanes, load<F>(x + row * n + i));
    float joined[kWidth];
    store(joined, lanes);
    for (int half = 0; half < 2; ++half) {
      double* at = to + i + half * kHalf;
      const D value = __builtin_convertvector(load<H>(joined + half * kHalf), D);
      store(at, Reduce::join(load<D>(at), value));
    }
  }
  for (; i < n; ++i) {
    for (int64_t row = 0; row < rows; ++row) to[i] = Reduce::join(to[i], static_cast<double>(x[row * n + i]));
  }
}

}  // namespace

void sum_each_row(double* to, const float* x, int64_t rows, int64_t n) { reduce_each_row<Sum>(to, x, rows, n); }
void sum_rows(double* to, const float* x, int64_t rows, int64_t n) { reduce_rows<Sum>(to, x, rows, n); }
void max_each_row(double* to, const float* x, int64_t rows, int64_t n) { reduce_each_row<Max>(to, x, rows, n); }
void max_rows(double* to, const float* x, int64_t rows, int64_t n) { reduce_rows<Max>(to, x, rows, n); }

float dot(const float* a, const float* b, int64_t n) {
  F lanes[4] = {};
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) lanes[u] = lanes[u] + load<F>(a + i + u * kWidth) * load<F>(b + i + u * kWidth);
  }
  for (; i + kWidth <= n; i += kWidth) lanes[0] = lanes[0] + load<F>(a + i) * load<F>(b + i);
  if (i < n) lanes[1] = lanes[1] + load_first(a + i, n - i) * load_first(b + i, n - i);
  return static_cast<float>(across<Sum>((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])));
}

// The last register of a row overlaps the next row, which is written later.
void fill_rows(float* to, const float* from, int64_t stride, int64_t rows, int64_t n) {
  for (int64_t row = 0; row < rows; ++row, to += n, from += stride) {
    const F value = set(*from);
    for (int64_t i = 0; i < n; i += kWidth) store(to + i, value);
  }
}

void convert_u8(float* __restrict to, const uint8_t* __restrict from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i]);
}
void convert_s32(float* __restrict to, const int32_t* __restrict from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i]);
}

void convert_bf16(float* to, const Bf16* from, int64_t n) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(to + i, load_floats<kWidth>(from + i));
  for (; i < n; ++i) to[i] = to_float(from[i]);
}
void round_bf16(Bf16* to, const float* from, int64_t n) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store_floats<kWidth>(to + i, load<F>(from + i));
  for (; i < n; ++i) to[i] = to_bf16(from[i]);
}

}  // namespace trainer::cpu::TRAINER_ISA
