// The weights of an axis are computed once for an image.
#include "data/pictures/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace trainer {

namespace {

constexpr int kWeightBits = 22;  // of the fraction: a weight times a byte, summed, fits 32 bits

double filter_value(ResampleFilter filter, double x) {
  x = std::fabs(x);
  if (filter == ResampleFilter::kBilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double filter_radius(ResampleFilter filter) { return filter == ResampleFilter::kBilinear ? 1 : 2; }

uint8_t byte_of(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255)); }

template <int kChannels>
void resample_row(const uint8_t* in, const int* first, const int* count, const int32_t* weights, int taps, int width,
                  uint8_t* out) {
  for (int x = 0; x < width; ++x, weights += taps, out += kChannels) {
    int32_t sums[kChannels];
    std::fill_n(sums, kChannels, 1 << (kWeightBits - 1));
    const uint8_t* from = in + first[x] * kChannels;
    for (int t = 0; t < count[x]; ++t, from += kChannels) {
      for (int c = 0; c < kChannels; ++c) sums[c] += from[c] * weights[t];
    }
    for (int c = 0; c < kChannels; ++c) out[c] = byte_of(sums[c]);
  }
}

void copy_nearest(const PixelWindow& window, int height, int width, uint8_t* out) {
  const auto nearest = [](int i, int in, int to) { return static_cast<int>((i + 0.5) * in / to); };
  for (int y = 0; y < height; ++y) {
    const uint8_t* row = window.pixels + nearest(y, window.height, height) * window.row_bytes;
    for (int x = 0; x < width; ++x) {
      const uint8_t* from = row + nearest(x, window.width, width) * window.channels;
      for (int c = 0; c < window.channels; ++c) *out++ = from[c];
    }
  }
}

void copy_rows(const PixelWindow& window, uint8_t* out) {
  const int64_t bytes = int64_t{window.width} * window.channels;
  for (int y = 0; y < window.height; ++y)
    std::memcpy(out + y * bytes, window.pixels + y * window.row_bytes, static_cast<size_t>(bytes));
}

// A block of a row at a time, so that its sums stay in registers.
void resample_column(const uint8_t* in, int64_t row_bytes, int64_t bytes, const int32_t* weights, int count,
                     uint8_t* out) {
  constexpr int64_t kBlock = 32;
  for (int64_t x = 0; x < bytes; x += kBlock) {
    int32_t sums[kBlock];
    std::fill_n(sums, kBlock, 1 << (kWeightBits - 1));
    const int64_t n = std::min(kBlock, bytes - x);
    const uint8_t* from = in + x;
    for (int t = 0; t < count; ++t, from += row_bytes) {
      for (int64_t i = 0; i < n; ++i) sums[i] += from[i] * weights[t];
    }
    for (int64_t i = 0; i < n; ++i) out[x + i] = byte_of(sums[i]);
  }
}

}  // namespace

void Resampler::Axis::prepare(int in, int out, ResampleFilter filter) {
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);
  const double radius = filter_radius(filter) * stretch;
  taps = static_cast<int>(std::ceil(radius)) * 2 + 1;
  first.resize(static_cast<size_t>(out));
  count.resize(static_cast<size_t>(out));
  weights.resize(static_cast<size_t>(out) * static_cast<size_t>(taps));
  for (int i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int begin = std::max(static_cast<int>(centre - radius + 0.5), 0);
    const int end = std::min(static_cast<int>(centre + radius + 0.5), in);
    int32_t* to = &weights[static_cast<size_t>(i) * static_cast<size_t>(taps)];
    double sum = 0;
    const auto value = [&](int x) { return filter_value(filter, (x - centre + 0.5) * (1.0 / stretch)); };
    for (int x = begin; x < end; ++x) sum += value(x);
    for (int x = begin; x < end; ++x) {
      const double weight = value(x) * (sum == 0 ? 1 : 1.0 / sum) * (1 << kWeightBits);
      to[x - begin] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[static_cast<size_t>(i)] = begin;
    count[static_cast<size_t>(i)] = end - begin;
  }
}

void Resampler::resize(const PixelWindow& window, int height, int width, ResampleFilter filter, uint8_t* out) {
  if (filter == ResampleFilter::kNearest) return copy_nearest(window, height, width, out);
  // Columns first if that leaves fewer rows, because a step along rows is slower.
  const bool columns_first = height < window.height;
  const int between_height = columns_first ? height : window.height;
  const int between_width = columns_first ? window.width : width;
  passed_.resize(static_cast<size_t>(between_height) * static_cast<size_t>(between_width * window.channels));
  const PixelWindow between{passed_.data(), window.channels, between_height, between_width,
                            int64_t{between_width} * window.channels};
  if (columns_first) {
    resize_columns(window, height, filter, passed_.data());
    resize_rows(between, width, filter, out);
  } else {
    resize_rows(window, width, filter, passed_.data());
    resize_columns(between, height, filter, out);
  }
}

void Resampler::resize_rows(const PixelWindow& window, int width, ResampleFilter filter, uint8_t* out) {
  const int64_t out_bytes = int64_t{width} * window.channels;
  if (window.width == width) return copy_rows(window, out);
  axis_.prepare(window.width, width, filter);
  static constexpr decltype(&resample_row<1>) kRow[] = {resample_row<1>, resample_row<2>, resample_row<3>,
                                                        resample_row<4>};
  for (int y = 0; y < window.height; ++y)
    kRow[window.channels - 1](window.pixels + y * window.row_bytes, axis_.first.data(), axis_.count.data(),
                              axis_.weights.data(), axis_.taps, width, out + y * out_bytes);
}

void Resampler::resize_columns(const PixelWindow& window, int height, ResampleFilter filter, uint8_t* out) {
  const int64_t bytes = int64_t{window.width} * window.channels;
  if (window.height == height) return copy_rows(window, out);
  axis_.prepare(window.height, height, filter);
  for (int y = 0; y < height; ++y) {
    const auto row = static_cast<size_t>(y);
    resample_column(window.pixels + axis_.first[row] * window.row_bytes, window.row_bytes, bytes,
                    &axis_.weights[row * static_cast<size_t>(axis_.taps)], axis_.count[row], out + y * bytes);
  }
}

}  // namespace trainer
