// Tiles that are not read or written in place: loads from leaves (strided or converted operands, coordinates, segments,
// random numbers) and stores to outputs with another order.
#pragma once

#include "device/cpu/isa/map_table.h"
#include "device/cpu/map_iteration.h"
#include "ops/map.h"

namespace trainer::cpu {

struct LeafSource {
  const MapBody& body;
  const MapTable& table;
  uint64_t pass;        // for random numbers
  const void* operand;  // kInput
  DType dtype;
};

// `first`: the value of the stream at the first element of the tile. May write up to 15 floats past the tile.
void load_leaf(const LeafSource& source, const MapNode& leaf, const TilePattern& pattern, int64_t first, float* to);

// Writes a tile to the offsets first + pattern of an f32 or bf16 output.
void scatter_tile(const MapTable& table, const float* tile, const TilePattern& pattern, int64_t first, DType dtype,
                  void* to);

}  // namespace trainer::cpu
