// What cannot be read or written in place. A tile is filled from a leaf: a strided or converted operand,
// coordinates, segments, draws; and put into an output whose elements lie in another order.
#pragma once

#include "device/cpu/isa/map_table.h"
#include "device/cpu/map_iteration.h"
#include "ops/map.h"

namespace trainer::cpu {

struct LeafSource {
  const MapBody& body;
  const MapTable& table;
  uint64_t pass;        // of the random draws
  const void* operand;  // kInput
  DType dtype;
};

// `first` is the stream's value at the tile's first element; up to 15 floats past the tile may be written.
void load_leaf(const LeafSource& source, const MapNode& leaf, const TilePattern& pattern, int64_t first, float* to);

// Writes a tile to offsets first + pattern of an output of f32 or bf16.
void scatter_tile(const MapTable& table, const float* tile, const TilePattern& pattern, int64_t first, DType dtype,
                  void* to);

}  // namespace trainer::cpu
