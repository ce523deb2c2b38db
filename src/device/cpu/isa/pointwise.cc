// Packs panels and multiplies packed panels.
#include "device/cpu/isa/pointwise.h"

#include "device/cpu/isa/product.h"
#include "device/cpu/isa/transpose.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

void pack_panels(const float* from, int64_t per_step, int64_t per_column, int64_t steps, int64_t columns, int64_t begin,
                 int64_t end, float* to) {
  for (int64_t panel = begin; panel < end; ++panel) {
    float* out = to + panel * steps * kWidth;
    const float* in = from + panel * kWidth * per_column;
    const int64_t there = min64(kWidth, columns - panel * kWidth);
    if (there == kWidth && per_column == 1) {
      for (int64_t s = 0; s < steps; ++s) {
        store(out + s * kWidth, load<F>(in + s * per_step));
        store(out + s * kWidth + kLane, load<F>(in + s * per_step + kLane));
      }
      continue;
    }
    if (there == kWidth && per_step == 1) {
      kTransposeTable.words(kWidth, steps, reinterpret_cast<const uint32_t*>(in), per_column,
                            reinterpret_cast<uint32_t*>(out), kWidth);
      continue;
    }
    for (int64_t s = 0; s < steps; ++s) {
      for (int64_t column = 0; column < kWidth; ++column)
        out[s * kWidth + column] = column < there ? in[s * per_step + column * per_column] : 0.0f;
    }
  }
}

// A few pixels at a time: reads along a pixel and writes to a panel are contiguous.
template <int64_t Width>
TRAINER_INLINE void pack(const float* from, int64_t pixel_floats, int64_t columns, int64_t, int64_t count,
                         int64_t first, int64_t end, float* to) {
  constexpr int64_t kPixels = 8;
  for (int64_t begin = first; begin < end; begin += kPixels) {
    const int64_t stop = min64(end, begin + kPixels);
    for (int64_t column = 0; column < columns; column += Width) {
      const int64_t there = min64(Width, columns - column);
      float* out = to + column * count;
      for (int64_t i = begin; i < stop; ++i) {
        const float* in = from + i * pixel_floats + column;
        if (there == Width) {
          __builtin_memcpy(out + i * Width, in, Width * sizeof(float));
        } else {
          for (int64_t j = 0; j < Width; ++j) out[i * Width + j] = j < there ? in[j] : 0.0f;
        }
      }
    }
  }
}

template <int64_t Width>
TRAINER_INLINE void pack(const Bf16* from, int64_t pixel_elements, int64_t columns, int64_t pixels, int64_t count,
                         int64_t first, int64_t end, float* to) {
  static const Bf16 nothing[Width] = {};
  constexpr int64_t kPairs = 4;
  for (int64_t begin = first; begin < end; begin += kPairs) {
    const int64_t stop = min64(end, begin + kPairs);
    for (int64_t column = 0; column < columns; column += Width) {
      const int64_t there = min64(Width, columns - column);
      for (int64_t i = begin; i < stop; ++i) {
        const Bf16* even = from + 2 * i * pixel_elements + column;
        const Bf16* odd = 2 * i + 1 < pixels ? even + pixel_elements : nothing;
        uint32_t words[Width];
        for (int64_t j = 0; j < Width; ++j) {
          words[j] = j < there ? static_cast<uint32_t>(even[j]) | static_cast<uint32_t>(odd[j]) << 16 : 0;
        }
        __builtin_memcpy(to + column * count + i * Width, words, sizeof words);
      }
    }
  }
}

template <typename T>
void pack_pixels(const T* from, int64_t pixel_elements, int64_t columns, int64_t pixels, int64_t count, int64_t first,
                 int64_t end, float* to) {
  pack<kWidth>(from, pixel_elements, columns, pixels, count, first, end, to);
}
template <typename T>
void pack_strips(const T* from, int64_t pixel_elements, int64_t columns, int64_t pixels, int64_t count, int64_t first,
                 int64_t end, float* to) {
  pack<kRows>(from, pixel_elements, columns, pixels, count, first, end, to);
}

TRAINER_INLINE Ahead ahead_of(const NextRead& next) { return {next.at, next.floats / 16}; }

void multiply_panels(const float* x, int64_t x_row, const float* panels, int64_t steps, int64_t columns, int64_t rows,
                     const float* bias, float slope, float* y, int64_t y_row, bool around, NextRead next) {
  Ahead ahead = ahead_of(next);
  for (int64_t column = 0; column < columns; column += kWidth) {
    const float* panel = panels + column * steps;
    if (column + kWidth <= columns) {
      const ChannelEpilogue epilogue{bias != nullptr ? bias + column : nullptr, slope};
      if (around) {
        multiply<Into::kStreamedEpilogue>(x, x_row, 1, panel, steps, rows, y + column, y_row, epilogue, &ahead);
      } else {
        multiply<Into::kEpilogue>(x, x_row, 1, panel, steps, rows, y + column, y_row, epilogue, &ahead);
      }
      continue;
    }
    const int64_t there = columns - column;
    float whole_bias[kWidth] = {};
    if (bias != nullptr) {
      for (int64_t j = 0; j < there; ++j) whole_bias[j] = bias[column + j];
    }
    float block[kRows * kWidth];
    for (int64_t r = 0; r < rows; r += kRows) {
      const int64_t count = min64(kRows, rows - r);
      multiply<Into::kEpilogue>(x + r * x_row, x_row, 1, panel, steps, count, block, kWidth, {whole_bias, slope},
                                &ahead);
      for (int64_t i = 0; i < count; ++i) {
        float* out = y + (r + i) * y_row + column;
        for (int64_t j = 0; j < there; ++j) out[j] = block[i * kWidth + j];
      }
    }
  }
  // Makes non-temporal stores visible to other cores.
  if (around) _mm_sfence();
}

template <typename Step>
void add_products(const float* strips, const float* panels, int64_t strip_count, int64_t count, int64_t first,
                  int64_t end, float* sums, const NextRead (&next)[2]) {
  Ahead ahead[2] = {ahead_of(next[0]), ahead_of(next[1])};
  for (int64_t unit = first; unit < end; ++unit) {
    multiply<Into::kAdd, Step>(strips + unit % strip_count * count * kRows, 1, kRows,
                               panels + unit / strip_count * count * kWidth, count, kRows, sums + unit * kRows * kWidth,
                               kWidth, {}, &ahead[ahead[0].lines == 0 ? 1 : 0]);
  }
}

}  // namespace

const PointwiseTable kPointwiseTable = {kWidth,
                                        kRows,
                                        pack_panels,
                                        multiply_panels,
                                        {{pack_pixels<float>, pack_strips<float>, add_products<Floats>},
#if defined(__AVX512F__)
                                         {pack_pixels<Bf16>, pack_strips<Bf16>, add_products<Pairs>}}
#else
                                         {}}
#endif
};

}  // namespace trainer::cpu::TRAINER_ISA
