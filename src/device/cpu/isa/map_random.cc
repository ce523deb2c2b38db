// Philox4x32-10 in registers: one counter per 64-bit lane, with its 32-bit words in the low halves.
#include "device/cpu/isa/map_functions.h"
#include "device/cpu/isa/map_rows.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

constexpr int kCounters = kWidth / 2;
constexpr int kBlock = 4 * kCounters;  // floats per call of philox()

TRAINER_INLINE U64 spread(uint64_t value) { return U64{} + value; }

// Between rounds the high halves are undefined; multiplications do not read them.
TRAINER_INLINE void philox(uint64_t key, uint64_t stream, U64 counter, U64 (&out)[4]) {
  const U64 low_half = spread(0xFFFFFFFFu);
  U64 c0 = counter & low_half, c1 = counter >> 32;
  U64 c2 = spread(stream & 0xFFFFFFFFu), c3 = spread(stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const U64 p0 = multiply_low(c0, spread(0xD2511F53u));
    const U64 p1 = multiply_low(c2, spread(0xCD9E8D57u));
    c0 = (p1 >> 32) ^ c1 ^ spread(k0);
    c2 = (p0 >> 32) ^ c3 ^ spread(k1);
    c1 = p1;
    c3 = p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0 & low_half;
  out[1] = c1 & low_half;
  out[2] = c2 & low_half;
  out[3] = c3 & low_half;
}

// Equal to uniform_from_bits().
TRAINER_INLINE F to_uniform(U64 bits) {
  const I top = (I)((U)bits >> 8);
  return (__builtin_convertvector(top, F) + 0.5f) * (1.0f / 16777216.0f);
}

TRAINER_INLINE U64 first_counters(uint64_t first) {
  U64 counter = spread(first);
  for (int lane = 0; lane < kCounters; ++lane) counter[lane] += static_cast<uint64_t>(lane);
  return counter;
}

struct Uniform {
  // The random numbers of kCounters counters in order.
  static TRAINER_INLINE void block(const U64 (&word)[4], float* to) {
    const U64 first = word[0] | word[1] << 32, second = word[2] | word[3] << 32;
    store(to, to_uniform(alternate_low(first, second)));
    store(to + kWidth, to_uniform(alternate_high(first, second)));
  }
  // The random numbers of the first, second, third and fourth words of all counters; a and b are consecutive counters.
  static TRAINER_INLINE void words(const U64 (&a)[4], const U64 (&b)[4], F (&out)[4]) {
    for (int i = 0; i < 4; ++i) out[i] = to_uniform((U64)even_lanes((F)a[i], (F)b[i]));
  }
  // The random number of the given word of each counter, in the low half of its lane.
  static TRAINER_INLINE F pick(const U64 (&word)[4], U64 which) {
    const U64 low = (which & 1) != 0 ? word[1] : word[0], high = (which & 1) != 0 ? word[3] : word[2];
    return to_uniform((which & 2) != 0 ? high : low);
  }
};

TRAINER_INLINE void box_muller(F u, F v, F* even, F* odd) {
  const F radius = sqrt(-2.0f * log(u));
  F sine, cosine;
  sine_cosine(6.28318530718f * v, &sine, &cosine);
  *even = radius * cosine;
  *odd = radius * sine;
}

struct Normal {
  static TRAINER_INLINE void block(const U64 (&word)[4], float* to) {
    float draws[kBlock];
    Uniform::block(word, draws);
    const F a = load<F>(draws), b = load<F>(draws + kWidth);
    F even, odd;
    box_muller(even_lanes(a, b), odd_lanes(a, b), &even, &odd);
    store(to, alternate_low(even, odd));
    store(to + kWidth, alternate_high(even, odd));
  }
  static TRAINER_INLINE void words(const U64 (&a)[4], const U64 (&b)[4], F (&out)[4]) {
    F u[4];
    Uniform::words(a, b, u);
    box_muller(u[0], u[1], &out[0], &out[1]);
    box_muller(u[2], u[3], &out[2], &out[3]);
  }
  static TRAINER_INLINE F pick(const U64 (&word)[4], U64 which) {
    const auto second = (which & 2) != 0;
    F even, odd;
    box_muller(to_uniform(second ? word[2] : word[0]), to_uniform(second ? word[3] : word[1]), &even, &odd);
    const auto is_odd = (which & 1) != 0;
    return (F)(is_odd ? (U64)odd : (U64)even);
  }
};

template <typename Draw>
TRAINER_INLINE void draw_consecutive(float* to, uint64_t key, uint64_t stream, uint64_t first, int64_t n) {
  U64 counter = first_counters(first / 4);
  int64_t at = -static_cast<int64_t>(first % 4);  // of the first number of the block
  for (; at < n; at += kBlock, counter = counter + static_cast<uint64_t>(kCounters)) {
    U64 word[4];
    philox(key, stream, counter, word);
    if (at >= 0 && at + kBlock <= n) {
      Draw::block(word, to + at);
      continue;
    }
    float draws[kBlock];
    Draw::block(word, draws);
    for (int64_t i = max64(at, 0); i < min64(at + kBlock, n); ++i) to[i] = draws[i - at];
  }
}

template <typename Draw>
TRAINER_INLINE void draw_strided(float* to, uint64_t key, uint64_t stream, uint64_t first, uint64_t stride, int64_t n) {
  for (int64_t at = 0; at < n; at += kCounters, first += stride * static_cast<uint64_t>(kCounters)) {
    U64 element = spread(first);
    for (int lane = 0; lane < kCounters; ++lane) element[lane] += stride * static_cast<uint64_t>(lane);
    U64 word[4];
    philox(key, stream, element >> 2, word);
    const F draws = Draw::pick(word, element & 3);
    for (int64_t i = 0; i < min64(kCounters, n - at); ++i) to[at + i] = draws[2 * i];
  }
}

// Columns with a distance of whole counters: four rows share the counters.
template <typename Draw>
TRAINER_INLINE void draw_rows(float* to, uint64_t key, uint64_t stream, uint64_t first, uint64_t stride, int64_t rows,
                              int64_t n) {
  const uint64_t step = stride / 4;  // counters
  U64 lanes;
  for (int lane = 0; lane < kCounters; ++lane) lanes[lane] = step * static_cast<uint64_t>(lane);
  for (int64_t row = 0; row < rows;) {
    const int word = static_cast<int>((first + static_cast<uint64_t>(row)) % 4);
    const int64_t count = min64(4 - word, rows - row);
    uint64_t counter = (first + static_cast<uint64_t>(row)) / 4;
    for (int64_t column = 0; column < n; column += kWidth, counter += step * kWidth) {
      U64 a[4], b[4];
      philox(key, stream, lanes + counter, a);
      philox(key, stream, lanes + (counter + step * kCounters), b);
      F draws[4];
      Draw::words(a, b, draws);
      for (int64_t i = 0; i < count; ++i) {
        float* at = to + (row + i) * n + column;
        if (column + kWidth <= n) {
          store(at, draws[word + i]);
        } else {
          store_first(at, draws[word + i], n - column);
        }
      }
    }
    row += count;
  }
}

template <typename Draw>
TRAINER_INLINE void draw(float* to, uint64_t key, uint64_t stream, uint64_t first, uint64_t stride, int64_t rows,
                         int64_t n) {
  if (stride == 1) {
    for (int64_t row = 0; row < rows; ++row)
      draw_consecutive<Draw>(to + row * n, key, stream, first + static_cast<uint64_t>(row), n);
  } else if (stride % 4 == 0) {
    draw_rows<Draw>(to, key, stream, first, stride, rows, n);
  } else {
    for (int64_t row = 0; row < rows; ++row)
      draw_strided<Draw>(to + row * n, key, stream, first + static_cast<uint64_t>(row), stride, n);
  }
}

}  // namespace

void uniform(float* to, uint64_t key, uint64_t stream, uint64_t first, uint64_t stride, int64_t rows, int64_t n) {
  draw<Uniform>(to, key, stream, first, stride, rows, n);
}
void normal(float* to, uint64_t key, uint64_t stream, uint64_t first, uint64_t stride, int64_t rows, int64_t n) {
  draw<Normal>(to, key, stream, first, stride, rows, n);
}

}  // namespace trainer::cpu::TRAINER_ISA
