// Winograd convolution by instruction set: 6x6 tiles of the input for 4x4 outputs of a 3x3 filter or 2x2 outputs of
// a 5x5 one, stride 1, dense channels-last images.
//
// With V the transformed tiles, U the transformed filters and M = sum over input channels of V * U, element by
// element, an output tile is A^T M A; V = B^T x B, U = G w G^T. The filters' gradient is G^T (sum over tiles of
// V * (A dy A^T)) G. Points 0, 1, -1, 2, -2 and infinity: Lavin and Gray, Fast Algorithms for Convolutional Neural
// Networks (2016); all four matrices follow from the points.
#pragma once

#include <cstdint>

#include "device/cpu/isa/by_type.h"
#include "device/cpu/isa/epilogue.h"

namespace trainer::cpu {

constexpr int kWinogradPlaces = 36;  // of a tile

// One group's channels of a batch of images.
struct WinogradTiles {
  int64_t in[2], out[2], pad[2];
  int64_t tiles[2];             // that cover an output image
  int64_t in_pixel, out_pixel;  // floats from a pixel to the next
  int64_t inputs, outputs;      // channels, at least 16
};

// Filters seen from one side: output o and input i have their taps at o * per_output + i * per_input.
struct WinogradFilters {
  int64_t inputs, outputs;
  int64_t per_output, per_input;
  bool turned;  // taps in the opposite sequence: the input gradient
};

// Functions by filter: [0] 3x3, [1] 5x5. Panels are `width` outputs, the last one filled up with zeros.
struct WinogradTable {
  int64_t width;

  // U of a panel as [places][end - first][width], of inputs [first, end).
  void (*filters[2])(const WinogradFilters& f, const float* w, int64_t panel, int64_t first, int64_t end, float* u);
  // The gradient of a panel's filters from sums that lie like U.
  void (*filter_gradient[2])(const WinogradFilters& f, const float* sums, int64_t panel, int64_t first, int64_t end,
                             float* w);
  // c[row][width] = or += the sum over steps of a[row * a_row + step * a_step] * b[step][width].
  void (*multiply)(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t steps, int64_t rows, float* c,
                   int64_t c_row, bool add);
};

// Those that read or write images, for tiles [begin, end), counted over the batch; a tile's places are `apart` floats
// apart. T: float or Bf16.
template <typename T>
struct WinogradImages {
  // V of each tile, `row` floats from a tile to the next.
  void (*input[2])(const WinogradTiles& t, const T* x, int64_t begin, int64_t end, int64_t row, int64_t apart,
                   float* v);
  // A dy A^T of each tile, `width` outputs after the other; panels are `panel_apart` floats apart.
  void (*gradient[2])(const WinogradTiles& t, const T* gradient, int64_t panels, int64_t begin, int64_t end,
                      int64_t panel_apart, int64_t apart, float* d);
  // Outputs from M, `row` floats from a tile to the next.
  void (*output[2])(const WinogradTiles& t, const float* m, int64_t row, int64_t apart, const Finish& finish,
                    int64_t begin, int64_t end, T* y);
};

namespace isa_v2 {
extern const WinogradTable kWinogradTable;
extern const ByType<WinogradImages> kWinogradImages;
}  // namespace isa_v2
namespace isa_v3 {
extern const WinogradTable kWinogradTable;
extern const ByType<WinogradImages> kWinogradImages;
}  // namespace isa_v3
namespace isa_v4 {
extern const WinogradTable kWinogradTable;
extern const ByType<WinogradImages> kWinogradImages;
}  // namespace isa_v4

}  // namespace trainer::cpu
