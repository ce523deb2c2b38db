// With AVX2, three channels take a kernel of their own; other loops leave the vectors to the compiler.
#include "data/pictures/resample_rows.h"

#include <algorithm>
#include <cstring>

#include "data/pictures/vectorized.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace trainer {

namespace {

constexpr int kLanes = 8;

// A group of taps at a time: as many as have all their channels in the lanes, with a weight for each lane.
template <int kChannels>
TRAINER_INLINE void resample_row(const uint8_t* in, const int* first, const int32_t* weights, int groups, int width,
                                 uint8_t* out) {
  constexpr int kUsed = kLanes / kChannels * kChannels;
  for (int x = 0; x < width; ++x, out += kChannels) {
    int32_t sums[kLanes] = {};
    const uint8_t* from = in + first[x] * kChannels;
    for (int g = 0; g < groups; ++g, from += kUsed, weights += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) sums[lane] += from[lane] * weights[lane];
    }
    for (int c = 0; c < kChannels; ++c) {
      int32_t sum = 0;
      for (int lane = c; lane < kUsed; lane += kChannels) sum += sums[lane];
      out[c] = resampled_byte(sum);
    }
  }
}

TRAINER_VECTORIZED void resample_row_of(int channels, const uint8_t* in, const int* first, const int32_t* weights,
                                        int groups, int width, uint8_t* out) {
  switch (channels) {
    case 1: return resample_row<1>(in, first, weights, groups, width, out);
    case 2: return resample_row<2>(in, first, weights, groups, width, out);
    case 3: return resample_row<3>(in, first, weights, groups, width, out);
    default: return resample_row<4>(in, first, weights, groups, width, out);
  }
}

// Three channels, four taps at a time: two in each half of a vector, for each channel in neighboring 16-bit lanes,
// whose products one instruction adds.
constexpr int kPairTaps = 4;
constexpr int kPairLanes = 16;

#ifdef __x86_64__
TRAINER_AVX2 void resample_pairs(const uint8_t* in, const int* first, const int16_t* weights, int groups, int width,
                                 uint8_t* out) {
  const __m256i order = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                         6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m128i half = _mm_set1_epi32(1 << (ResampledAxis::kWeightBits - 1));
  for (int x = 0; x < width; ++x, out += 3) {
    __m256i upper = _mm256_setzero_si256(), lower = upper;
    const uint8_t* from = in + first[x] * 3;
    for (int g = 0; g < groups; ++g, from += 3 * kPairTaps, weights += 2 * kPairLanes) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      const __m256i taps = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), order);
      const auto* factors = reinterpret_cast<const __m256i*>(weights);
      upper = _mm256_add_epi32(upper, _mm256_madd_epi16(taps, _mm256_loadu_si256(factors)));
      lower = _mm256_add_epi32(lower, _mm256_madd_epi16(taps, _mm256_loadu_si256(factors + 1)));
    }
    const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(upper, SplitWeight::kLowerBits), lower);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    sum = _mm_srai_epi32(_mm_add_epi32(sum, half), ResampledAxis::kWeightBits);
    sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
    const int pixel = _mm_cvtsi128_si32(sum);
    std::memcpy(out, &pixel, 3);
  }
}
#else
void resample_pairs(const uint8_t*, const int*, const int16_t*, int, int, uint8_t*) {}
#endif

}  // namespace

int RowResampler::prepare_lanes(const ResampledAxis& axis, int channels) {
  const int group = kLanes / channels, groups = (axis.most() + group - 1) / group;
  lane_weights_.assign(axis.first.size() * static_cast<size_t>(groups * kLanes), 0);
  int32_t* to = lane_weights_.data();
  for (size_t i = 0; i < axis.first.size(); ++i, to += groups * kLanes) {
    for (int t = 0; t < axis.count[i]; ++t)
      std::fill_n(to + t / group * kLanes + t % group * channels, channels, axis.weights_of(i)[t]);
  }
  return groups;
}

int RowResampler::prepare_pairs(const ResampledAxis& axis) {
  const int groups = (axis.most() + kPairTaps - 1) / kPairTaps;
  pair_weights_.assign(axis.first.size() * static_cast<size_t>(groups * 2 * kPairLanes), 0);
  int16_t* to = pair_weights_.data();
  for (size_t i = 0; i < axis.first.size(); ++i, to += groups * 2 * kPairLanes) {
    for (int t = 0; t < axis.count[i]; ++t) {
      const SplitWeight weight(axis.weights_of(i)[t]);
      const int tap = t % kPairTaps;
      int16_t* lane = to + t / kPairTaps * 2 * kPairLanes + tap / 2 * (kPairLanes / 2) + tap % 2;
      for (int c = 0; c < 3; ++c, lane += 2) {
        lane[0] = weight.upper;
        lane[kPairLanes] = weight.lower;
      }
    }
  }
  return groups;
}

void RowResampler::resize(const PixelWindow& window, const ResampledAxis& axis, uint8_t* out) {
  const bool pairs = has_avx2() && window.channels == 3;
  const int groups = pairs ? prepare_pairs(axis) : prepare_lanes(axis, window.channels);
  const auto width = static_cast<int>(axis.first.size());
  // A group may reach beyond the row, with weights of 0.
  const auto bytes = static_cast<size_t>(window.width) * static_cast<size_t>(window.channels);
  constexpr size_t kMostGroupBytes = 16;
  row_.assign(bytes + static_cast<size_t>(groups + 1) * kMostGroupBytes, 0);
  for (int y = 0; y < window.height; ++y, out += width * window.channels) {
    std::memcpy(row_.data(), window.pixels + y * window.row_bytes, bytes);
    if (pairs) {
      resample_pairs(row_.data(), axis.first.data(), pair_weights_.data(), groups, width, out);
    } else {
      resample_row_of(window.channels, row_.data(), axis.first.data(), lane_weights_.data(), groups, width, out);
    }
  }
}

}  // namespace trainer
