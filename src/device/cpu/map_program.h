// A map's body compiled for tiles: primitives over slots, sorted by how often they must run.
//
// A slot is an address that instructions read and write: a tile buffer, one float, or the place of the tile
// in an operand or output. Instructions and loads stand in levels: level 0 runs once, level i + 1 whenever
// loop i or one outside it has moved, so that what depends on the channel only is computed once and not for
// every tile. A node that is the same all over a tile is one float. Pairs of nodes that a primitive covers
// are one instruction.
#pragma once

#include <cstdint>
#include <vector>

#include "device/cpu/isa/map_table.h"
#include "device/cpu/map_iteration.h"
#include "device/cpu/map_streams.h"

namespace trainer::cpu {

// How many floats an instruction covers: one; a tile of full length, since it does not see the tiled dim; the
// tile.
enum class TileLength : uint8_t { kOne, kWhole, kTile };

enum class SlotKind : uint8_t { kBuffer, kScalar, kConstant, kOperand, kStored, kAccumulator };

struct TileSlot {
  SlotKind kind;
  int index = 0;       // buffer, scalar, operand, output (kStored), reduction (kAccumulator)
  float constant = 0;  // kConstant
};

struct TileInstruction {
  TilePrimitive run;
  int out, a, b, c;  // slots
  float k;
  TileLength length;
};

// Fills a slot from a leaf that cannot be read in place.
struct TileLoad {
  MapNode leaf;
  int stream, out;
  TileLength length;
  bool converts;  // from bf16
};

// An output stored for every element. Its slot is the output's memory, or a buffer copied at the end of the
// tile where an operand in the same memory is read by a later instruction.
struct StoredOutput {
  int output, slot, buffer;
  size_t position;  // of the instruction that writes it, in the last level
};

// A reduced output. Summed element by element into a tile of floats over many tiles (`accumulator` >= 0), or
// each tile at once from slot a, times slot b where b >= 0.
struct TileReduction {
  int output;
  Reduction kind;
  int accumulator = -1;
  int a = -1, b = -1;
};

// kOne: the program is for tiles that lie within one segment of each table.
enum class Segments : uint8_t { kAny, kOne };

struct TileProgram {
  TileProgram(const MapBody& body, const MapStreams& streams, const MapIteration& iteration, const MapTable& table,
              Segments segments);

  std::vector<TileSlot> slots;
  std::vector<std::vector<TileLoad>> loads;                // by level
  std::vector<std::vector<TileInstruction>> instructions;  // by level
  std::vector<StoredOutput> stored;
  std::vector<TileReduction> reductions;
  // Per operand: the last instruction of the last level that reads it in place; -1 where none, SIZE_MAX where
  // a reduction does.
  std::vector<int64_t> last_read;
  int buffers = 0, scalars = 0;
};

}  // namespace trainer::cpu
