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
#include "device/cpu/isa/finish.h"

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

// Functions by filter: [0] 3x3, [1] 5x5. Panels are `width` outputs, the last one filled up with zeros. Tiles are
// counted over the batch. Places of `transformed` arrays are `count` tiles apart.
struct WinogradTable {
  int64_t width;

  // U as [places][panels][inputs][width]; panels [begin, end) of `panels`.
  void (*filters[2])(const WinogradFilters& f, const float* w, int64_t panels, int64_t begin, int64_t end, float* u);
  // Adds the products of `count` tiles to sums [places][panels][inputs][width]; units [first, end) of places * panels.
  void (*add_products)(const float* v, const float* d, int64_t panels, int64_t inputs, int64_t count, int64_t first,
                       int64_t end, float* sums);
  // The filters' gradient from the sums; panels [begin, end).
  void (*filter_gradient[2])(const WinogradFilters& f, const float* sums, int64_t panels, int64_t begin, int64_t end,
                             float* w);
};

// Those that read or write images. T: float or Bf16.
template <typename T>
struct WinogradImages {
  // Outputs of tiles [begin, begin + count). `scratch`: places * count * (inputs + panels * width) floats.
  void (*forward[2])(const WinogradTiles& t, const T* x, const float* u, int64_t panels, const Finish& finish, T* y,
                     int64_t begin, int64_t count, float* scratch);
  // V as [places][count][inputs] and A dy A^T as [places][panels][count][width], of tiles [begin + first, begin + end).
  void (*transform[2])(const WinogradTiles& t, const T* x, const T* gradient, int64_t panels, int64_t begin, int64_t count,
                       int64_t first, int64_t end, float* v, float* d);
};

namespace isa_v2 {
extern const WinogradTable kWinogradTable;
extern const ByType<WinogradImages> kWinogradImages;
}
namespace isa_v3 {
extern const WinogradTable kWinogradTable;
extern const ByType<WinogradImages> kWinogradImages;
}
namespace isa_v4 {
extern const WinogradTable kWinogradTable;
extern const ByType<WinogradImages> kWinogradImages;
}

}  // namespace trainer::cpu
