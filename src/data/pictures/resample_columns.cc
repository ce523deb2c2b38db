// With AVX2 two rows at a time; otherwise the compiler makes the vectors.
#include "data/pictures/resample_columns.h"

#include "data/pictures/vectorized.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace trainer {

// A row of the result: the sum of `count` rows from `in` on.
struct ColumnResampler::RowSum {
  const uint8_t* in;
  int64_t row_bytes;
  const int32_t* weights;
  int count;
  uint8_t* out;
};

namespace {

// Writes the bytes from `begin` on in blocks whose sums stay in registers. Returns the first byte that is left.
template <int kBytes, typename RowSum>
int64_t add_rows(const RowSum& row, int64_t begin, int64_t end) {
  for (; begin + kBytes <= end; begin += kBytes) {
    int32_t sums[kBytes] = {};
    const uint8_t* in = row.in + begin;
    for (int t = 0; t < row.count; ++t, in += row.row_bytes) {
      for (int i = 0; i < kBytes; ++i) sums[i] += in[i] * row.weights[t];
    }
    for (int i = 0; i < kBytes; ++i) row.out[begin + i] = resampled_byte(sums[i]);
  }
  return begin;
}

#ifdef __x86_64__
TRAINER_AVX2 __m256i words_of(const uint8_t* bytes) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

TRAINER_AVX2 __m256i rounded(__m256i upper, __m256i lower) {
  const __m256i half = _mm256_set1_epi32(1 << (ResampledAxis::kWeightBits - 1));
  const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(upper, SplitWeight::kLowerBits), lower);
  return _mm256_srai_epi32(_mm256_add_epi32(sum, half), ResampledAxis::kWeightBits);
}

}  // namespace

// 16 bytes of two rows at a time: one instruction multiplies the bytes of both and adds the products. Returns the first
// byte that is left.
TRAINER_AVX2 int64_t ColumnResampler::add_row_pairs(const RowSum& row, const PairWeights* pairs, int64_t end) {
  int64_t at = 0;
  for (; at + 16 <= end; at += 16) {
    __m256i upper_a = _mm256_setzero_si256(), lower_a = upper_a, upper_b = upper_a, lower_b = upper_a;
    const uint8_t* in = row.in + at;
    __builtin_prefetch(in + row.count * row.row_bytes);  // for the following row of the result
    for (int t = 0; t < row.count; t += 2, in += 2 * row.row_bytes) {
      const __m256i upper = _mm256_set1_epi32(static_cast<int>(pairs[t / 2].upper));
      const __m256i lower = _mm256_set1_epi32(static_cast<int>(pairs[t / 2].lower));
      const __m256i one = words_of(in), two = words_of(t + 1 == row.count ? in : in + row.row_bytes);
      const __m256i a = _mm256_unpacklo_epi16(one, two), b = _mm256_unpackhi_epi16(one, two);
      upper_a = _mm256_add_epi32(upper_a, _mm256_madd_epi16(a, upper));
      lower_a = _mm256_add_epi32(lower_a, _mm256_madd_epi16(a, lower));
      upper_b = _mm256_add_epi32(upper_b, _mm256_madd_epi16(b, upper));
      lower_b = _mm256_add_epi32(lower_b, _mm256_madd_epi16(b, lower));
    }
    // The halves of vectors are packed apart, as they were unpacked.
    const __m256i words = _mm256_packs_epi32(rounded(upper_a, lower_a), rounded(upper_b, lower_b));
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row.out + at), bytes);
  }
  return at;
}
#else
}  // namespace

int64_t ColumnResampler::add_row_pairs(const RowSum&, const PairWeights*, int64_t) { return 0; }
#endif

void ColumnResampler::resize(const PixelWindow& window, const ResampledAxis& axis, uint8_t* out) {
  const int64_t bytes = int64_t{window.width} * window.channels;
  const auto both = [](int16_t first, int16_t second) {
    return uint32_t{static_cast<uint16_t>(second)} << 16 | static_cast<uint16_t>(first);
  };
  for (size_t i = 0; i < axis.first.size(); ++i, out += bytes) {
    const RowSum row{window.pixels + axis.first[i] * window.row_bytes, window.row_bytes, axis.weights_of(i),
                     axis.count[i], out};
    pairs_.clear();
    for (int t = 0; t < row.count; t += 2) {
      const SplitWeight first(row.weights[t]), second(t + 1 == row.count ? 0 : row.weights[t + 1]);
      pairs_.push_back({both(first.upper, second.upper), both(first.lower, second.lower)});
    }
    int64_t done = has_avx2() ? add_row_pairs(row, pairs_.data(), bytes) : 0;
    done = add_rows<32>(row, done, bytes);
    add_rows<1>(row, done, bytes);
  }
}

}  // namespace trainer
