// One register of floats of the file's instruction set, with operations that compiler vectors lack. Only for files of
// isa/.
#pragma once

#include <immintrin.h>

#include "device/cpu/isa/lanes.h"

namespace trainer::cpu::TRAINER_ISA {

constexpr int kWidth = kNative;
using F = Lanes<kWidth>::F;
using I = Lanes<kWidth>::I;
typedef uint32_t U __attribute__((vector_size(kWidth * 4)));
typedef uint64_t U64 __attribute__((vector_size(kWidth * 4)));  // kWidth / 2 lanes
typedef double D __attribute__((vector_size(kWidth * 4)));      // kWidth / 2 lanes

TRAINER_INLINE F set(float value) { return broadcast<kWidth>(value); }
TRAINER_INLINE I set_int(int32_t value) { return I{} + value; }

TRAINER_INLINE F sqrt(F x) {
#if defined(__AVX512F__)
  return (F)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
  return (F)_mm256_sqrt_ps((__m256)x);
#else
  return (F)_mm_sqrt_ps((__m128)x);
#endif
}

TRAINER_INLINE F floor(F x) {
#if defined(__AVX512F__)
  return (F)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#elif defined(__AVX2__)
  return (F)_mm256_floor_ps((__m256)x);
#else
  return (F)_mm_floor_ps((__m128)x);
#endif
}

TRAINER_INLINE F round_nearest(F x) {
#if defined(__AVX512F__)
  return (F)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__AVX2__)
  return (F)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  return (F)_mm_round_ps((__m128)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#endif
}

// The larger value; b if either is NaN.
TRAINER_INLINE F larger(F a, F b) {
#if defined(__AVX512F__)
  return (F)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (F)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return (F)_mm_max_ps((__m128)a, (__m128)b);
#endif
}

// The 64-bit products of the low halves of 64-bit lanes.
TRAINER_INLINE U64 multiply_low(U64 a, U64 b) {
#if defined(__AVX512F__)
  return (U64)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (U64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (U64)_mm_mul_epu32((__m128i)a, (__m128i)b);
#endif
}

// The first n < kWidth floats; the other lanes are 0.
TRAINER_INLINE F load_first(const float* from, int64_t n) {
#if defined(__AVX512F__)
  return (F)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), from);
#elif defined(__AVX2__)
  const I lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return (F)_mm256_maskload_ps(from, (__m256i)(lane < set_int(static_cast<int32_t>(n))));
#else
  F v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = from[i];
  return v;
#endif
}

TRAINER_INLINE void store_first(float* to, F v, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
#elif defined(__AVX2__)
  const I lane = {0, 1, 2, 3, 4, 5, 6, 7};
  _mm256_maskstore_ps(to, (__m256i)(lane < set_int(static_cast<int32_t>(n))), (__m256)v);
#else
  for (int64_t i = 0; i < n; ++i) to[i] = v[i];
#endif
}

// Interleaves the lanes of a and b into a first and a second half; and the inverse.
#if defined(__AVX512F__)
#define TRAINER_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define TRAINER_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define TRAINER_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define TRAINER_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define TRAINER_LOW64 0, 8, 1, 9, 2, 10, 3, 11
#define TRAINER_HIGH64 4, 12, 5, 13, 6, 14, 7, 15
#elif defined(__AVX2__)
#define TRAINER_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define TRAINER_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define TRAINER_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define TRAINER_ODD 1, 3, 5, 7, 9, 11, 13, 15
#define TRAINER_LOW64 0, 4, 1, 5
#define TRAINER_HIGH64 2, 6, 3, 7
#else
#define TRAINER_LOW 0, 4, 1, 5
#define TRAINER_HIGH 2, 6, 3, 7
#define TRAINER_EVEN 0, 2, 4, 6
#define TRAINER_ODD 1, 3, 5, 7
#define TRAINER_LOW64 0, 2
#define TRAINER_HIGH64 1, 3
#endif
TRAINER_INLINE F alternate_low(F a, F b) { return __builtin_shufflevector(a, b, TRAINER_LOW); }
TRAINER_INLINE F alternate_high(F a, F b) { return __builtin_shufflevector(a, b, TRAINER_HIGH); }
TRAINER_INLINE F even_lanes(F a, F b) { return __builtin_shufflevector(a, b, TRAINER_EVEN); }
TRAINER_INLINE F odd_lanes(F a, F b) { return __builtin_shufflevector(a, b, TRAINER_ODD); }
TRAINER_INLINE U64 alternate_low(U64 a, U64 b) { return __builtin_shufflevector(a, b, TRAINER_LOW64); }
TRAINER_INLINE U64 alternate_high(U64 a, U64 b) { return __builtin_shufflevector(a, b, TRAINER_HIGH64); }

}  // namespace trainer::cpu::TRAINER_ISA
