// Vectors of N floats. The compiler maps them to the registers of the file's instruction set. Only for files of isa/.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "tensor/bf16.h"

#pragma GCC diagnostic ignored "-Wpsabi"
// The AVX-512 header of g++ 12 triggers this warning.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace trainer::cpu::TRAINER_ISA {

#define TRAINER_INLINE inline __attribute__((always_inline))

template <int N>
struct Lanes {
  typedef float F __attribute__((vector_size(N * 4)));
  typedef int32_t I __attribute__((vector_size(N * 4)));
  typedef uint8_t B __attribute__((vector_size(N)));
  typedef uint16_t H __attribute__((vector_size(N * 2)));
  typedef uint32_t U __attribute__((vector_size(N * 4)));
};
template <>
struct Lanes<1> {
  using F = float;
  using I = int32_t;
  using B = uint8_t;
};

template <typename V, typename T>
TRAINER_INLINE V load(const T* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
template <typename V, typename T>
TRAINER_INLINE void store(T* to, const V& v) {
  __builtin_memcpy(to, &v, sizeof v);
}
template <int N>
TRAINER_INLINE typename Lanes<N>::F broadcast(float value) {
  return typename Lanes<N>::F{} + value;
}

// For each float, whether it is NaN.
template <typename V>
TRAINER_INLINE auto is_nan(const V& x) {
  return x != x;  // NOLINT(misc-redundant-expression): vectors have no isnan
}

// A relu with this slope, or nothing if it is 1. As the function relu of maps, the result is not -0.
template <typename V>
TRAINER_INLINE V with_relu(V sum, float slope) {
  return slope != 1 ? (sum > 0 ? sum : slope * sum + 0.0f) : sum;
}

// The floats of the widest register.
#if defined(__AVX512F__)
constexpr int kNative = 16;
#elif defined(__AVX2__)
constexpr int kNative = 8;
#else
constexpr int kNative = 4;
#endif

// Non-temporal store of a register to an aligned address. Other cores see it after a fence.
TRAINER_INLINE void stream(float* to, Lanes<kNative>::F value) {
#if defined(__AVX512F__)
  _mm512_stream_ps(to, reinterpret_cast<__m512>(value));
#elif defined(__AVX2__)
  _mm256_stream_ps(to, reinterpret_cast<__m256>(value));
#else
  _mm_stream_ps(to, reinterpret_cast<__m128>(value));
#endif
}

// Loads and stores of f32 or bf16.
template <int N>
TRAINER_INLINE typename Lanes<N>::F load_floats(const float* from) {
  return load<typename Lanes<N>::F>(from);
}
template <int N>
TRAINER_INLINE typename Lanes<N>::F load_floats(const Bf16* from) {
  if constexpr (N == 1) {
    return to_float(*from);
  }
#if defined(__AVX512F__)
  // g++ 12 splits the conversion of a whole register.
  if constexpr (N == 16) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return (typename Lanes<N>::F)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
  }
#endif
  if constexpr (N > 1) {
    using U = typename Lanes<N>::U;
    return (typename Lanes<N>::F)(__builtin_convertvector(load<typename Lanes<N>::H>(from), U) << 16);
  }
}
template <int N>
TRAINER_INLINE void store_floats(float* to, const typename Lanes<N>::F& value) {
  store(to, value);
}
template <int N>
TRAINER_INLINE void store_floats(Bf16* to, const typename Lanes<N>::F& value) {
  if constexpr (N == 1) {
    *to = to_bf16(value);
  } else {
    using U = typename Lanes<N>::U;
    const U bits = (U)value;
    const U rounded = is_nan(value) ? (bits | 0x400000) : bits + 0x7fff + ((bits >> 16) & 1);
#if defined(__AVX512F__)
    if constexpr (N == 16) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16((__m512i)(rounded >> 16)));
      return;
    }
#endif
    store(to, __builtin_convertvector(rounded >> 16, typename Lanes<N>::H));
  }
}

// Loads and stores of window offsets: u8 or s32.
template <int N>
TRAINER_INLINE typename Lanes<N>::I load_offsets(const int32_t* from) {
  return load<typename Lanes<N>::I>(from);
}
template <int N>
TRAINER_INLINE typename Lanes<N>::I load_offsets(const uint8_t* from) {
  if constexpr (N == 1) {
    return *from;
  } else {
    return __builtin_convertvector(load<typename Lanes<N>::B>(from), typename Lanes<N>::I);
  }
}
template <int N>
TRAINER_INLINE void store_offsets(int32_t* to, const typename Lanes<N>::I& v) {
  store(to, v);
}
template <int N>
TRAINER_INLINE void store_offsets(uint8_t* to, const typename Lanes<N>::I& v) {
  if constexpr (N == 1) {
    *to = static_cast<uint8_t>(v);
  } else {
    store(to, __builtin_convertvector(v, typename Lanes<N>::B));
  }
}

TRAINER_INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
TRAINER_INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

template <int N, typename Body>
TRAINER_INLINE void cover_channels(int64_t channels, const Body& body) {
  int64_t c = 0;
  for (; c + N <= channels; c += N) body.template run<N>(c);
  if (c < channels) body.template run<N>(channels - N);
}

// Calls body.run<N>(c) for blocks of N channels that cover [0, channels). The last block may overlap the one before it,
// so run() must be idempotent.
template <typename Body>
TRAINER_INLINE void each_channel_block(int64_t channels, const Body& body) {
  if (channels >= 16) {
    cover_channels<16>(channels, body);
  } else if (channels >= 8) {
    cover_channels<8>(channels, body);
  } else if (channels >= 4) {
    cover_channels<4>(channels, body);
  } else {
    cover_channels<1>(channels, body);
  }
}

// The same without overlap, for a run() that adds to memory.
template <typename Body>
TRAINER_INLINE void each_channel_once(int64_t begin, int64_t end, const Body& body) {
  int64_t c = begin;
  for (; c + 16 <= end; c += 16) body.template run<16>(c);
  for (; c + 4 <= end; c += 4) body.template run<4>(c);
  for (; c < end; ++c) body.template run<1>(c);
}

// A position in [N, D, H, W] that advances in row-major order.
struct Position {
  int64_t n, at[3];
  TRAINER_INLINE Position(int64_t index, const int64_t (&extents)[3]) {
    at[2] = index % extents[2];
    index /= extents[2];
    at[1] = index % extents[1];
    index /= extents[1];
    at[0] = index % extents[0];
    n = index / extents[0];
  }
  TRAINER_INLINE void step(const int64_t (&extents)[3]) {
    if (++at[2] < extents[2]) return;
    at[2] = 0;
    if (++at[1] < extents[1]) return;
    at[1] = 0;
    if (++at[0] < extents[0]) return;
    at[0] = 0;
    ++n;
  }
};

}  // namespace trainer::cpu::TRAINER_ISA
