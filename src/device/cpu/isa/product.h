// Matrix products in registers: blocks of a few rows by two vectors. Only for files of isa/.
#pragma once

#include "device/cpu/isa/lanes.h"

namespace trainer::cpu::TRAINER_ISA {

// Of the widest vectors; as many rows as leave registers for what is read.
#if defined(__AVX512F__)
constexpr int kLane = 16, kRows = 12;
#elif defined(__AVX2__)
constexpr int kLane = 8, kRows = 6;
#else
constexpr int kLane = 4, kRows = 6;
#endif
constexpr int kWidth = 2 * kLane;
using F = Lanes<kLane>::F;

// c[Rows][kWidth] = or, where Add, += the sums over steps of a[row][step] * b[step][kWidth].
template <int Rows, bool Add>
TRAINER_INLINE void multiply_block(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t steps, float* c,
                                   int64_t c_row) {
  F sums[Rows][2];
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
    sums[r][0] = Add ? load<F>(c + r * c_row) : F{};
    sums[r][1] = Add ? load<F>(c + r * c_row + kLane) : F{};
  }
  for (int64_t s = 0; s < steps; ++s, a += a_step, b += kWidth) {
    const F b0 = load<F>(b), b1 = load<F>(b + kLane);
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      const float value = a[r * a_row];
      sums[r][0] += value * b0;
      sums[r][1] += value * b1;
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
    store(c + r * c_row, sums[r][0]);
    store(c + r * c_row + kLane, sums[r][1]);
  }
}

template <bool Add>
void multiply(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t steps, int64_t rows, float* c,
              int64_t c_row) {
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows)
    multiply_block<kRows, Add>(a + r * a_row, a_row, a_step, b, steps, c + r * c_row, c_row);
  for (; r + 4 <= rows; r += 4)
    multiply_block<4, Add>(a + r * a_row, a_row, a_step, b, steps, c + r * c_row, c_row);
  for (; r < rows; ++r)
    multiply_block<1, Add>(a + r * a_row, a_row, a_step, b, steps, c + r * c_row, c_row);
}

}  // namespace trainer::cpu::TRAINER_ISA
