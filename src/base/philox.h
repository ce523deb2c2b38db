// Philox4x32-10, the counter-based random generator for all draws: masks, fillers, augmentation, shuffles. Salmon et
// al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
//
// A draw is a pure function of (key, stream, counter), so it does not depend on threads, devices or a resume, and there
// is no generator state to save. The key identifies the draw (seed, net, layer, purpose); the stream is the forward
// pass or the epoch; the counter is the logical element.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace trainer {

using PhiloxBlock = std::array<uint32_t, 4>;

// Four independent 32-bit values for one 128-bit counter and one 64-bit key.
inline PhiloxBlock philox(uint64_t key, uint64_t stream, uint64_t counter) {
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32);
  uint32_t c2 = static_cast<uint32_t>(stream), c3 = static_cast<uint32_t>(stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

// The 32 bits that belong to logical element `element`: lane element % 4 of counter element / 4.
inline uint32_t philox_element(uint64_t key, uint64_t stream, uint64_t element) {
  return philox(key, stream, element / 4)[element % 4];
}

// Uniform in (0, 1], 2^-24 apart: never 0, so that its logarithm is finite.
inline float uniform_from_bits(uint32_t bits) { return (static_cast<float>(bits >> 8) + 0.5f) * (1.0f / 16777216.0f); }

// Standard normal for logical element `element` (Box-Muller; even and odd elements share one pair of uniforms).
inline float philox_normal(uint64_t key, uint64_t stream, uint64_t element) {
  const PhiloxBlock block = philox(key, stream, element / 4);
  const size_t pair = (element % 4) & ~size_t{1};
  const float radius = std::sqrt(-2.0f * std::log(uniform_from_bits(block[pair])));
  const float angle = 6.28318530718f * uniform_from_bits(block[pair + 1]);
  return radius * (element % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

// Derives a key from a seed and names: FNV-1a over the bytes, then the 64-bit finalizer of MurmurHash3.
inline uint64_t philox_key(uint64_t seed, std::string_view net, std::string_view layer, std::string_view purpose) {
  uint64_t hash = 0xCBF29CE484222325u ^ seed * 0x9E3779B97F4A7C15u;
  for (std::string_view part : {net, layer, purpose}) {
    for (char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    hash = (hash ^ 0xFFu) * 0x100000001B3u;
  }
  hash ^= hash >> 33;
  hash *= 0xFF51AFD7ED558CCDu;
  hash ^= hash >> 33;
  hash *= 0xC4CEB9FE1A85EC53u;
  return hash ^ (hash >> 33);
}

}  // namespace trainer
