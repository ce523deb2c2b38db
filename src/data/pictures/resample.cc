// The weights of an axis are computed once for an image.
#include "data/pictures/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace trainer {

namespace {

double filter_value(ResampleFilter filter, double x) {
  x = std::fabs(x);
  if (filter == ResampleFilter::kBilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double filter_radius(ResampleFilter filter) { return filter == ResampleFilter::kBilinear ? 1 : 2; }

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

}  // namespace

void Resampler::Axis::prepare(int in, double begin, double extent, int out, ResampleFilter filter) {
  const double scale = extent / out;
  const double stretch = std::max(scale, 1.0);
  const double radius = filter_radius(filter) * stretch;
  taps = static_cast<int>(std::ceil(radius)) * 2 + 1;
  first.resize(static_cast<size_t>(out));
  count.resize(static_cast<size_t>(out));
  weights.resize(static_cast<size_t>(out) * static_cast<size_t>(taps));
  values.resize(static_cast<size_t>(taps));
  for (int i = 0; i < out; ++i) {
    const double centre = begin + (i + 0.5) * scale;
    const int from = std::max(static_cast<int>(std::floor(centre - radius + 0.5)), 0);
    const int end = std::min(static_cast<int>(std::floor(centre + radius + 0.5)), in);
    double sum = 0;
    for (int x = from; x < end; ++x)
      sum += values[static_cast<size_t>(x - from)] = filter_value(filter, (x - centre + 0.5) * (1.0 / stretch));
    int32_t* to = &weights[static_cast<size_t>(i) * static_cast<size_t>(taps)];
    for (int x = from; x < end; ++x) {
      const double value = values[static_cast<size_t>(x - from)];
      const double weight = (sum == 0 ? value : value / sum) * (1 << ResampledAxis::kWeightBits);
      *to++ = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[static_cast<size_t>(i)] = from;
    count[static_cast<size_t>(i)] = end - from;
  }
}

void Resampler::resize(const PixelWindow& window, const ResampledBox& box, int height, int width, ResampleFilter filter,
                       uint8_t* out) {
  if (filter == ResampleFilter::kNearest) return copy_nearest(window, height, width, out);
  // Columns first if that leaves fewer rows, as in Pillow.
  const bool columns_first = height < window.height;
  const int between_height = columns_first ? height : window.height;
  const int between_width = columns_first ? window.width : width;
  passed_.resize(static_cast<size_t>(between_height) * static_cast<size_t>(between_width * window.channels));
  const PixelWindow between{passed_.data(), window.channels, between_height, between_width,
                            int64_t{between_width} * window.channels};
  if (columns_first) {
    resize_columns(window, box, height, filter, passed_.data());
    resize_rows(between, box, width, filter, out);
  } else {
    resize_rows(window, box, width, filter, passed_.data());
    resize_columns(between, box, height, filter, out);
  }
}

void Resampler::resize_rows(const PixelWindow& window, const ResampledBox& box, int width, ResampleFilter filter,
                            uint8_t* out) {
  if (window.width == width && box.width == width) return copy_rows(window, out);
  axis_.prepare(window.width, box.x, box.width, width, filter);
  rows_.resize(window, axis_, out);
}

void Resampler::resize_columns(const PixelWindow& window, const ResampledBox& box, int height, ResampleFilter filter,
                               uint8_t* out) {
  if (window.height == height && box.height == height) return copy_rows(window, out);
  axis_.prepare(window.height, box.y, box.height, height, filter);
  columns_.resize(window, axis_, out);
}

}  // namespace trainer
