// kReorder, kPad and kSlice of weights and of their gradients: changes type, order and the number of channels, several
// tensors in a launch.
#pragma once

#include "device/cuda/kernels/pack_layout.h"

namespace trainer::cuda {

// A tensor [rows, channels, taps], dense and row-major or channels-last [rows, taps, channels] on each side. Types are
// floats.
struct Repack {
  const void* from = nullptr;
  void* to = nullptr;
  int32_t count = 0;  // elements of the result
  // Of the result. If it has more channels than the operand, the others are 0.
  int32_t channels = 1, taps = 1;
  int32_t from_channels = 1;
  int32_t tile = 1, tiles = 0;  // elements of a tile, and tiles
  ElementType from_type = ElementType::kF32, to_type = ElementType::kF32;
  bool to_channels_last = true;  // from row-major; false: the other direction
};

// The argument of a kernel has at most 4 KiB.
constexpr int kMaxRepacks = 64;
struct RepackArguments {
  int64_t count = 0;
  Repack tensors[kMaxRepacks];
};

// A block computes a tile of about so many elements. If the order changes, a tile is whole rows.
constexpr int64_t kRepackTile = 8192;
// A tile with rows of more elements would not stay in the first cache.
constexpr int64_t kMaxRepackedRow = 32768;

inline Grid grid_of_repack(const RepackArguments& a) {
  int64_t tiles = 0;
  for (int i = 0; i < a.count; ++i) tiles += a.tensors[i].tiles;
  return grid_of(tiles, kBlockThreads);
}

cudaError_t launch_repack(const RepackArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
