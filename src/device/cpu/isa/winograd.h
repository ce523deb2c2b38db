// Winograd convolution by instruction set: 6x6 tiles of the input, for 4x4 outputs of a 3x3 filter or 2x2 outputs of a
// 5x5 filter; stride 1, dense channels-last images.
//
// With V the transformed tiles, U the transformed filters and M = sum over input channels of V * U, element by
// element, an output tile is A^T M A, with V = B^T x B and U = G w G^T. The gradient of the filters is G^T (sum over
// tiles of V * (A dy A^T)) G. Points 0, 1, -1, 2, -2 and infinity: Lavin and Gray, Fast Algorithms for Convolutional
// Neural Networks (2016); all four matrices follow from the points.
#pragma once

#include <cstdint>

#include "device/cpu/isa/by_type.h"
#include "device/cpu/isa/epilogue.h"

namespace trainer::cpu {

constexpr int kWinogradPlaces = 36;  // elements of a transformed tile

// The channels of one group in a batch of images.
struct WinogradTiles {
  int64_t in[2], out[2], pad[2];
  int64_t tiles[2];             // that cover an output image
  int64_t in_pixel, out_pixel;  // the distance of pixels in floats
  int64_t inputs, outputs;      // channels, at least 16
};

// The layout of filters: the taps of output o and input i are at o * per_output + i * per_input.
struct WinogradFilters {
  int64_t inputs, outputs;
  int64_t per_output, per_input;
  bool flipped;  // taps in reverse order, for the input gradient
};

// Functions by filter: [0] 3x3, [1] 5x5. A panel is `width` outputs; zeros fill the last panel.
struct WinogradTable {
  int64_t width;

  // U of a panel for the inputs [first, end): [position][end - first][width].
  void (*filters[2])(const WinogradFilters& f, const float* w, int64_t panel, int64_t first, int64_t end, float* u);
  // The gradient of the filters of a panel, from sums with the layout of U.
  void (*filter_gradient[2])(const WinogradFilters& f, const float* sums, int64_t panel, int64_t first, int64_t end,
                             float* w);
  // c[row][width] = (or +=) the sum over steps of a[row * a_row + step * a_step] * b[step][width].
  void (*multiply)(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t steps, int64_t rows, float* c,
                   int64_t c_row, bool add);
};

// The functions that read or write images, for the tiles [begin, end), counted over the batch. The distance of the
// elements of a tile is `apart` floats. T: float or Bf16.
template <typename T>
struct WinogradImages {
  // V of each tile. The distance of tiles is `row` floats.
  void (*input[2])(const WinogradTiles& t, const T* x, int64_t begin, int64_t end, int64_t row, int64_t apart,
                   float* v);
  // A dy A^T of each tile, `width` outputs at a time. The distance of panels is `panel_apart` floats.
  void (*gradient[2])(const WinogradTiles& t, const T* gradient, int64_t panels, int64_t begin, int64_t end,
                      int64_t panel_apart, int64_t apart, float* d);
  // Outputs from M. The distance of tiles is `row` floats.
  void (*output[2])(const WinogradTiles& t, const float* m, int64_t row, int64_t apart, const ChannelEpilogue& epilogue,
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
