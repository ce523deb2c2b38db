// Matrix products in registers: blocks of a few rows by two vectors. Only for files of isa/.
#pragma once

#include "device/cpu/isa/epilogue.h"
#include "device/cpu/isa/lanes.h"

namespace trainer::cpu::TRAINER_ISA {

// The widest vector, and as many rows as leave registers for the factors.
constexpr int kLane = kNative, kRows = kNative == 16 ? 12 : 6;
constexpr int kWidth = 2 * kLane;
using F = Lanes<kLane>::F;

// The use of a product: store, add to memory, store with epilogue, or the same with non-temporal stores.
enum class Into { kStore, kAdd, kEpilogue, kStreamedEpilogue };

// Memory that is read soon. A product prefetches a part of it.
struct Ahead {
  const float* at = nullptr;
  int64_t lines = 0;  // of 64 bytes

  // The lines that a product of `steps` steps prefetches.
  TRAINER_INLINE Ahead take(int64_t steps) {
    const Ahead part{at, min64(steps, lines)};
    at += part.lines * 16;
    lines -= part.lines;
    return part;
  }
};

template <Into Way, typename T>
TRAINER_INLINE void put(T* to, F sum, F bias, float slope) {
  if constexpr (Way == Into::kEpilogue || Way == Into::kStreamedEpilogue) {
    sum = with_relu(sum + bias, slope);
  }
  if constexpr (Way == Into::kStreamedEpilogue) {
    stream(to, sum);
  } else {
    store_floats<kLane>(to, sum);
  }
}

// A step adds to a register of sums: the product of floats, or of pairs of bf16 in the place of a float.
struct Floats {
  static TRAINER_INLINE void add(F& sum, const float* a, const F& b) { sum += *a * b; }
};
#if defined(__AVX512F__)
// The processor must have AVX512_BF16; the file is compiled without it.
struct Pairs {
  static TRAINER_INLINE void add(F& sum, const float* a, const F& b) {
    asm("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(b), "m"(*a));
  }
};
#endif

// c[Rows][kWidth]: the sums over steps of a[row][step] * b[step][kWidth].
template <int Rows, Into Way, typename Step>
TRAINER_INLINE void multiply_block(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t steps,
                                   float* c, int64_t c_row, const ChannelEpilogue& epilogue, Ahead ahead) {
  F sums[Rows][2];
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
    sums[r][0] = Way == Into::kAdd ? load<F>(c + r * c_row) : F{};
    sums[r][1] = Way == Into::kAdd ? load<F>(c + r * c_row + kLane) : F{};
  }
  for (int64_t s = 0; s < steps; ++s, a += a_step, b += kWidth) {
    const F b0 = load<F>(b), b1 = load<F>(b + kLane);
    if (s < ahead.lines) __builtin_prefetch(ahead.at + s * 16, 0, 2);
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      Step::add(sums[r][0], a + r * a_row, b0);
      Step::add(sums[r][1], a + r * a_row, b1);
    }
  }
  const F bias0 = epilogue.bias != nullptr ? load<F>(epilogue.bias) : F{};
  const F bias1 = epilogue.bias != nullptr ? load<F>(epilogue.bias + kLane) : F{};
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
    put<Way>(c + r * c_row, sums[r][0], bias0, epilogue.slope);
    put<Way>(c + r * c_row + kLane, sums[r][1], bias1, epilogue.slope);
  }
}

template <Into Way, typename Step = Floats>
void multiply(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t steps, int64_t rows, float* c,
              int64_t c_row, const ChannelEpilogue& epilogue, Ahead* ahead) {
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows)
    multiply_block<kRows, Way, Step>(a + r * a_row, a_row, a_step, b, steps, c + r * c_row, c_row, epilogue,
                                     ahead->take(steps));
  for (; r + 4 <= rows; r += 4)
    multiply_block<4, Way, Step>(a + r * a_row, a_row, a_step, b, steps, c + r * c_row, c_row, epilogue,
                                 ahead->take(steps));
  for (; r < rows; ++r)
    multiply_block<1, Way, Step>(a + r * a_row, a_row, a_step, b, steps, c + r * c_row, c_row, epilogue,
                                 ahead->take(steps));
}

}  // namespace trainer::cpu::TRAINER_ISA
