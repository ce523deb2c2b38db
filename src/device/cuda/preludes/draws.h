// Random numbers by element; equal to those of base/philox.h.
#pragma once

namespace trainer::cuda {

struct Draws {
  unsigned at[4];
};
__device__ inline Draws philox(unsigned long long key, unsigned long long stream, unsigned long long counter) {
  unsigned c0 = static_cast<unsigned>(counter), c1 = static_cast<unsigned>(counter >> 32);
  unsigned c2 = static_cast<unsigned>(stream), c3 = static_cast<unsigned>(stream >> 32);
  unsigned k0 = static_cast<unsigned>(key), k1 = static_cast<unsigned>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const unsigned long long p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    c0 = static_cast<unsigned>(p1 >> 32) ^ c1 ^ k0;
    c2 = static_cast<unsigned>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<unsigned>(p1);
    c3 = static_cast<unsigned>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}
__device__ inline float uniform_of(unsigned bits) {
  return (static_cast<float>(bits >> 8) + 0.5f) * (1.0f / 16777216.0f);
}
__device__ inline float uniform(unsigned long long key, unsigned long long stream, unsigned long long element) {
  return uniform_of(philox(key, stream, element / 4).at[element % 4]);
}
__device__ inline float normal(unsigned long long key, unsigned long long stream, unsigned long long element) {
  const Draws draws = philox(key, stream, element / 4);
  const int pair = element % 4 & ~1;
  const float radius = sqrtf(-2.0f * logf(uniform_of(draws.at[pair])));
  const float angle = 6.28318530718f * uniform_of(draws.at[pair + 1]);
  return radius * (element % 2 == 0 ? cosf(angle) : sinf(angle));
}

}  // namespace trainer::cuda
