// bfloat16: the upper 16 bits of a float.
//
// Always inlined, so that files compiled for different instruction sets share no code.
#pragma once

#include <cstdint>

namespace trainer {

enum class Bf16 : uint16_t {};

__attribute__((always_inline)) inline float to_float(Bf16 value) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(value) << 16);
}

// Rounds to nearest, ties to even; a NaN stays a NaN.
__attribute__((always_inline)) inline Bf16 to_bf16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  if (value != value) return static_cast<Bf16>((bits >> 16) | 0x40);
  return static_cast<Bf16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace trainer
