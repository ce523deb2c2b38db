// Winograd convolution: transforms over blocks of channels, and the matrix product between them.
#include "device/cpu/isa/winograd.h"

#include "device/cpu/isa/product.h"
#include "device/cpu/isa/transpose.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

constexpr int kSide = 6;

// One-dimensional transforms. B^T d:
TRAINER_INLINE void transform_input(const F (&d)[kSide], F (&o)[kSide]) {
  const F even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1], even2 = d[4] - d[2], odd2 = 2 * (d[3] - d[1]);
  o[0] = 4 * d[0] - 5 * d[2] + d[4];
  o[1] = even + odd;
  o[2] = even - odd;
  o[3] = even2 + odd2;
  o[4] = even2 - odd2;
  o[5] = 4 * d[1] - 5 * d[3] + d[5];
}

// A^T s: M outputs.
template <int M>
TRAINER_INLINE void transform_output(const F (&s)[kSide], F (&o)[M]) {
  const F even = s[1] + s[2], odd = s[1] - s[2], even2 = s[3] + s[4], odd2 = s[3] - s[4];
  o[0] = s[0] + even + even2;
  if constexpr (M == 4) {
    o[1] = odd + 2 * odd2;
    o[2] = even + 4 * even2;
    o[3] = odd + 8 * odd2 + s[5];
  } else {
    o[1] = odd + 2 * odd2 + s[5];
  }
}

// A y.
template <int M>
TRAINER_INLINE void transform_gradient(const F (&y)[M], F (&o)[kSide]) {
  F even = y[0], odd = y[1], even2 = y[0], odd2 = 2 * y[1];
  if constexpr (M == 4) {
    even += y[2];
    odd += y[3];
    even2 += 4 * y[2];
    odd2 += 8 * y[3];
  }
  o[0] = y[0];
  o[1] = even + odd;
  o[2] = even - odd;
  o[3] = even2 + odd2;
  o[4] = even2 - odd2;
  o[5] = y[M - 1];
}

// G w: R taps.
template <int R>
TRAINER_INLINE void transform_filter(const F (&w)[R], F (&o)[kSide]) {
  F even = w[0] + w[2], odd = w[1], even2 = w[0] + 4 * w[2], odd2 = 2 * w[1];
  if constexpr (R == 5) {
    even += w[4];
    odd += w[3];
    even2 += 16 * w[4];
    odd2 += 8 * w[3];
  }
  o[0] = w[0] * 0.25f;
  o[1] = (even + odd) * (-1.0f / 6);
  o[2] = (even - odd) * (-1.0f / 6);
  o[3] = (even2 + odd2) * (1.0f / 24);
  o[4] = (even2 - odd2) * (1.0f / 24);
  o[5] = w[R - 1];
}

// G^T u.
template <int R>
TRAINER_INLINE void transform_filter_back(const F (&u)[kSide], F (&o)[R]) {
  const F even = (u[1] + u[2]) * (-1.0f / 6), odd = (u[1] - u[2]) * (-1.0f / 6);
  const F even2 = (u[3] + u[4]) * (1.0f / 24), odd2 = (u[3] - u[4]) * (1.0f / 24);
  o[0] = u[0] * 0.25f + even + even2;
  o[1] = odd + 2 * odd2;
  o[2] = even + 4 * even2;
  if constexpr (R == 5) {
    o[3] = odd + 8 * odd2;
    o[4] = even + 16 * even2;
  }
  o[R - 1] += u[5];
}

// Applies a transform to the columns and then the rows of a square: read(row, column), write(row, column, value).
template <int From, int To, typename Transform, typename Read, typename Write>
TRAINER_INLINE void transform_square(const Transform& transform, const Read& read, const Write& write) {
  F between[To][From];
#pragma GCC unroll 6
  for (int column = 0; column < From; ++column) {
    F from[From], to[To];
#pragma GCC unroll 6
    for (int row = 0; row < From; ++row) from[row] = read(row, column);
    transform(from, to);
#pragma GCC unroll 6
    for (int row = 0; row < To; ++row) between[row][column] = to[row];
  }
#pragma GCC unroll 6
  for (int row = 0; row < To; ++row) {
    F to[To];
    transform(between[row], to);
#pragma GCC unroll 6
    for (int column = 0; column < To; ++column) write(row, column, to[column]);
  }
}

// The position of a tile.
struct TilePosition {
  int64_t n, row, column;  // of the first output
  TRAINER_INLINE TilePosition(const WinogradTiles& t, int64_t tile, int m) {
    column = tile % t.tiles[1] * m;
    tile /= t.tiles[1];
    row = tile % t.tiles[0] * m;
    n = tile / t.tiles[0];
  }
};

// Transforms a tile of the input, with zeros for padding, to V at `to`. The distance of its elements is `apart` floats.
template <int M, typename T>
TRAINER_INLINE void input_tile(const WinogradTiles& t, const T* x, int64_t tile, float* to, int64_t apart) {
  const TilePosition place(t, tile, M);
  const int64_t top = place.row - t.pad[0], left = place.column - t.pad[1];
  const T* image = x + place.n * t.in[0] * t.in[1] * t.in_pixel;
  static const T zeros[kLane] = {};
  const T* pixels[kSide][kSide];
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column) {
      const int64_t h = top + row, w = left + column;
      const bool inside = h >= 0 && h < t.in[0] && w >= 0 && w < t.in[1];
      pixels[row][column] = inside ? image + (h * t.in[1] + w) * t.in_pixel : nullptr;
    }
  }
  for (int64_t c = 0;; c = min64(c + kLane, t.inputs - kLane)) {
    transform_square<kSide, kSide>(
        [](const F(&from)[kSide], F(&o)[kSide]) __attribute__((always_inline)) { transform_input(from, o); },
        [&](int row, int column) __attribute__((always_inline)) {
          const T* pixel = pixels[row][column];
          return load_floats<kLane>(pixel != nullptr ? pixel + c : zeros);
        },
        [&](int row, int column, const F& value)
            __attribute__((always_inline)) { store(to + (row * kSide + column) * apart + c, value); });
    if (c + kLane >= t.inputs) break;
  }
}

template <int M, typename T>
TRAINER_INLINE void output_tile(const WinogradTiles& t, const float* from, int64_t apart,
                                const ChannelEpilogue& epilogue, T* y, int64_t tile) {
  const TilePosition place(t, tile, M);
  T* image = y + place.n * t.out[0] * t.out[1] * t.out_pixel;
  for (int64_t k = 0;; k = min64(k + kLane, t.outputs - kLane)) {
    const F bias = epilogue.bias != nullptr ? load<F>(epilogue.bias + k) : F{};
    transform_square<kSide, M>(
        [](const F(&s)[kSide], F(&o)[M]) __attribute__((always_inline)) { transform_output<M>(s, o); },
        [&](int row, int column)
            __attribute__((always_inline)) { return load<F>(from + (row * kSide + column) * apart + k); },
        [&](int row, int column, const F& sum) __attribute__((always_inline)) {
          const int64_t h = place.row + row, w = place.column + column;
          if (h >= t.out[0] || w >= t.out[1]) return;
          put<Into::kEpilogue>(image + (h * t.out[1] + w) * t.out_pixel + k, sum, bias, epilogue.slope);
        });
    if (k + kLane >= t.outputs) break;
  }
}

// A dy A^T of a tile. `to`: the address of the tile in the first panel.
template <int M, typename T>
TRAINER_INLINE void gradient_tile(const WinogradTiles& t, const T* gradient, int64_t tile, int64_t panels,
                                  int64_t panel_apart, int64_t apart, float* to) {
  const TilePosition place(t, tile, M);
  const T* image = gradient + place.n * t.out[0] * t.out[1] * t.out_pixel;
  for (int64_t k = 0; k < panels * kWidth; k += kLane) {
    const int64_t there = max64(0, min64(kLane, t.outputs - k));
    float* panel = to + k / kWidth * panel_apart + k % kWidth;
    transform_square<M, kSide>(
        [](const F(&from)[M], F(&o)[kSide]) __attribute__((always_inline)) { transform_gradient<M>(from, o); },
        [&](int row, int column) __attribute__((always_inline)) {
          const int64_t h = place.row + row, w = place.column + column;
          if (h >= t.out[0] || w >= t.out[1]) return F{};
          const T* pixel = image + (h * t.out[1] + w) * t.out_pixel + k;
          if (there == kLane) return load_floats<kLane>(pixel);
          F value = F{};
          for (int64_t i = 0; i < there; ++i) value[i] = load_floats<1>(pixel + i);
          return value;
        },
        [&](int row, int column, const F& value)
            __attribute__((always_inline)) { store(panel + (row * kSide + column) * apart, value); });
  }
}

template <int R>
void filters(const WinogradFilters& f, const float* w, int64_t panel, int64_t first, int64_t end, float* u) {
  const int64_t apart = (end - first) * kWidth;
  for (int64_t column = 0; column < kWidth; column += kLane) {
    const int64_t o = panel * kWidth + column, there = max64(0, min64(kLane, f.outputs - o));
    float taps[R * R][kLane] = {};
    for (int64_t i = first; i < end; ++i) {
      kTransposeTable.words(there, R * R, reinterpret_cast<const uint32_t*>(w + o * f.per_output + i * f.per_input),
                            f.per_output, reinterpret_cast<uint32_t*>(taps[0]), kLane);
      float* to = u + (i - first) * kWidth + column;
      transform_square<R, kSide>(
          [](const F(&from)[R], F(&out)[kSide]) __attribute__((always_inline)) { transform_filter<R>(from, out); },
          [&](int row, int column) __attribute__((always_inline)) {
            const int tap = row * R + column;
            return load<F>(taps[f.flipped ? R * R - 1 - tap : tap]);
          },
          [&](int row, int column, const F& value)
              __attribute__((always_inline)) { store(to + (row * kSide + column) * apart, value); });
    }
  }
}

template <int R>
void filter_gradient(const WinogradFilters& f, const float* sums, int64_t panel, int64_t first, int64_t end, float* w) {
  const int64_t apart = (end - first) * kWidth;
  for (int64_t column = 0; column < kWidth; column += kLane) {
    const int64_t o = panel * kWidth + column, there = max64(0, min64(kLane, f.outputs - o));
    for (int64_t i = first; i < end; ++i) {
      const float* from = sums + (i - first) * kWidth + column;
      float taps[R * R][kLane];
      transform_square<kSide, R>(
          [](const F(&u)[kSide], F(&out)[R]) __attribute__((always_inline)) { transform_filter_back<R>(u, out); },
          [&](int row, int column)
              __attribute__((always_inline)) { return load<F>(from + (row * kSide + column) * apart); },
          [&](int row, int column, const F& value)
              __attribute__((always_inline)) { store(taps[row * R + column], value); });
      kTransposeTable.words(R * R, there, reinterpret_cast<const uint32_t*>(taps[0]), kLane,
                            reinterpret_cast<uint32_t*>(w + o * f.per_output + i * f.per_input), f.per_output);
    }
  }
}

void multiply_panel(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t steps, int64_t rows,
                    float* c, int64_t c_row, bool add) {
  Ahead nothing;
  if (add) {
    multiply<Into::kAdd>(a, a_row, a_step, b, steps, rows, c, c_row, {}, &nothing);
  } else {
    multiply<Into::kStore>(a, a_row, a_step, b, steps, rows, c, c_row, {}, &nothing);
  }
}

template <int M, typename T>
void input(const WinogradTiles& t, const T* x, int64_t begin, int64_t end, int64_t row, int64_t apart, float* v) {
  for (int64_t tile = begin; tile < end; ++tile) input_tile<M>(t, x, tile, v + (tile - begin) * row, apart);
}

template <int M, typename T>
void gradient(const WinogradTiles& t, const T* from, int64_t panels, int64_t begin, int64_t end, int64_t panel_apart,
              int64_t apart, float* d) {
  for (int64_t tile = begin; tile < end; ++tile)
    gradient_tile<M>(t, from, tile, panels, panel_apart, apart, d + (tile - begin) * kWidth);
}

template <int M, typename T>
void output(const WinogradTiles& t, const float* m, int64_t row, int64_t apart, const ChannelEpilogue& epilogue,
            int64_t begin, int64_t end, T* y) {
  for (int64_t tile = begin; tile < end; ++tile) output_tile<M>(t, m + (tile - begin) * row, apart, epilogue, y, tile);
}

template <typename T>
constexpr WinogradImages<T> images() {
  return {{input<4, T>, input<2, T>}, {gradient<4, T>, gradient<2, T>}, {output<4, T>, output<2, T>}};
}

}  // namespace

const WinogradTable kWinogradTable = {
    kWidth, {filters<3>, filters<5>}, {filter_gradient<3>, filter_gradient<5>}, multiply_panel};
const ByType<WinogradImages> kWinogradImages = {images<float>(), images<Bf16>()};

}  // namespace trainer::cpu::TRAINER_ISA
