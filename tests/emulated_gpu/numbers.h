// Reads and writes elements of all types as floats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace emulator {

enum class Element { kF32, kBF16, kF16 };

inline size_t size_of(Element type) { return type == Element::kF32 ? 4 : 2; }

inline float load(const void* from, Element type, int64_t at) {
  if (type == Element::kF32) return static_cast<const float*>(from)[at];
  if (type == Element::kF16) return static_cast<float>(static_cast<const _Float16*>(from)[at]);
  const uint32_t bits = uint32_t{static_cast<const uint16_t*>(from)[at]} << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline void store(void* to, Element type, int64_t at, float x) {
  if (type == Element::kF32) {
    static_cast<float*>(to)[at] = x;
  } else if (type == Element::kF16) {
    static_cast<_Float16*>(to)[at] = static_cast<_Float16>(x);
  } else {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    static_cast<uint16_t*>(to)[at] =
        static_cast<uint16_t>(x != x ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

// Rounds to the 10 mantissa bits of tensor cores, to even.
inline float to_tf32(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7f800000) == 0x7f800000) return x;
  bits = (bits + 0xfff + (bits >> 13 & 1)) & ~uint32_t{0x1fff};
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

}  // namespace emulator
