// One pass over the pixels of an item, for any combination of steps.
#include "data/pictures/sampling.h"

#include <algorithm>

#include "data/pictures/vectorized.h"

namespace trainer {

namespace {

template <int kInStep, int kOutStep, typename T>
TRAINER_INLINE void write_even_line(const T* in, float mean, float scale, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i * kOutStep] = (static_cast<float>(in[i * kInStep]) - mean) * scale;
}

// To descending places, in parts, because the compiler makes no vectors of all steps at once.
template <int kInStep, typename T>
TRAINER_INLINE void write_reversed_line(const T* in, float mean, float scale, float* out, int64_t count) {
  constexpr int64_t kMost = 512;
  T part[kMost], reversed[kMost];
  while (count > 0) {
    const int64_t n = std::min(count, kMost);
    for (int64_t i = 0; i < n; ++i) part[i] = in[i * kInStep];
    for (int64_t i = 0; i < n; ++i) reversed[i] = part[n - 1 - i];
    write_even_line<1, 1>(reversed, mean, scale, out - (n - 1), n);
    in += kInStep * n;
    out -= n;
    count -= n;
  }
}

// One line of pixels with one mean. Steps are in elements.
template <typename T>
TRAINER_INLINE void write_even_line(const T* in, int64_t in_step, float mean, float scale, float* out, int64_t out_step,
                                    int64_t count) {
  if (in_step < 0) {  // backwards, so that input ascends
    in += in_step * (count - 1);
    out += out_step * (count - 1);
    in_step = -in_step;
    out_step = -out_step;
  }
  if (in_step == 1 && out_step == 1) return write_even_line<1, 1>(in, mean, scale, out, count);
  if (in_step == 1 && out_step == -1) return write_even_line<1, -1>(in, mean, scale, out, count);
  if (in_step == 3 && out_step == 1) return write_even_line<3, 1>(in, mean, scale, out, count);
  if (in_step == 3 && out_step == -1) return write_reversed_line<3>(in, mean, scale, out, count);
  for (int64_t i = 0; i < count; ++i) out[i * out_step] = (static_cast<float>(in[i * in_step]) - mean) * scale;
}

TRAINER_VECTORIZED void write_line_of(const uint8_t* in, int64_t in_step, float mean, float scale, float* out,
                                      int64_t out_step, int64_t count) {
  write_even_line(in, in_step, mean, scale, out, out_step, count);
}

TRAINER_VECTORIZED void write_line_of(const float* in, int64_t in_step, float mean, float scale, float* out,
                                      int64_t out_step, int64_t count) {
  write_even_line(in, in_step, mean, scale, out, out_step, count);
}

template <typename T>
void write_line(const T* in, int64_t in_step, const float* mean, int64_t mean_step, float scale, float* out,
                int64_t out_step, int64_t count) {
  if (mean_step == 0) return write_line_of(in, in_step, *mean, scale, out, out_step, count);
  for (int64_t i = 0; i < count; ++i) {
    out[i * out_step] = (static_cast<float>(in[i * in_step]) - mean[i * mean_step]) * scale;
  }
}

}  // namespace

void AxisSampling::flip() {
  first += step * (count - 1);
  step = -step;
}

void AxisSampling::crop(int64_t offset, int64_t new_count) {
  first += step * offset;
  count = new_count;
}

ItemView item_view(float* data, const ItemShape& shape, MemoryFormat order) {
  if (order == MemoryFormat::kChannelsLast) return {data, 1, shape.width * shape.channels, shape.channels};
  return {data, shape.height * shape.width, shape.width, 1};
}

void write_item(const PixelView& pixels, const Sampling& sampling, bool reversed, const MeanView& mean,
                const FactorView& factor, const ItemView& out) {
  const ItemShape& in = pixels.shape;
  const int64_t in_c = pixels.interleaved ? 1 : in.height * in.width;
  const int64_t in_w = pixels.interleaved ? in.channels : 1;
  const int64_t in_h = in.width * in_w;
  for (int64_t h = 0; h < sampling.y.count; ++h) {
    for (int64_t c = 0; c < in.channels; ++c) {
      const int64_t channel = stored_channel(c, in.channels, reversed);
      const int64_t from = channel * in_c + (sampling.y.first + sampling.y.step * h) * in_h + sampling.x.first * in_w;
      const float* line_mean = mean.data + (mean.stored ? channel : c) * mean.c_step + h * mean.h_step;
      float* line = out.data + c * out.c_step + h * out.h_step;
      const float scale = factor.data[c * factor.c_step];
      if (pixels.bytes != nullptr) {
        write_line(pixels.bytes + from, sampling.x.step * in_w, line_mean, mean.w_step, scale, line, out.w_step,
                   sampling.x.count);
      } else {
        write_line(pixels.floats + from, sampling.x.step * in_w, line_mean, mean.w_step, scale, line, out.w_step,
                   sampling.x.count);
      }
    }
  }
}

void write_mask(const PixelView& mask, const Sampling& sampling, float* out) {
  const float zero = 0, one = 1;
  write_item(mask, sampling, false, {&zero}, {&one},
             item_view(out, {1, sampling.y.count, sampling.x.count}, MemoryFormat::kRowMajor));
}

}  // namespace trainer
