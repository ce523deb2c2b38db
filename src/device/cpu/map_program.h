// A map's body compiled for tiles: instructions over slots, in levels by how often they run.
//
// A slot is an address that instructions read and write: a tile buffer, a scalar, or the tile in an operand or output.
// Level 0 runs once, level i + 1 whenever loop i or a loop outside it advances: values that depend only on the channel
// are computed once per channel, not for every tile. A node that is constant in a tile is a scalar. A fused pair of
// nodes is one instruction.
#pragma once

#include <cstdint>
#include <vector>

#include "device/cpu/isa/map_table.h"
#include "device/cpu/map_iteration.h"
#include "device/cpu/map_streams.h"

namespace trainer::cpu {

// The floats of an instruction: one, a full tile (it does not depend on the tiled dim), or the current tile.
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

// Fills a slot from a leaf that is not read in place.
struct TileLoad {
  MapNode leaf;
  int stream, out;
  TileLength length;
  bool converts;  // from bf16
};

// An output that is stored for every element. Its slot is the memory of the output, or a buffer that is copied at the
// end of the tile if a later instruction reads an operand in the same memory.
struct StoredOutput {
  int output, slot, buffer;
  size_t position;  // in the last level, of the instruction that writes it
};

// A reduced output. With `accumulator` >= 0, instructions add element by element to a tile of floats over many tiles.
// Otherwise each tile of slot a (times slot b if b >= 0) is reduced at once.
struct TileReduction {
  int output;
  Reduction kind;
  int accumulator = -1;
  int a = -1, b = -1;
};

// kOne: the program is for tiles inside one segment of each table.
enum class Segments : uint8_t { kAny, kOne };

struct TileProgram {
  TileProgram(const MapBody& body, const MapStreams& streams, const MapIteration& iteration, const MapTable& table,
              Segments segments);

  std::vector<TileSlot> slots;
  std::vector<std::vector<TileLoad>> loads;                // by level
  std::vector<std::vector<TileInstruction>> instructions;  // by level
  std::vector<StoredOutput> stored;
  std::vector<TileReduction> reductions;
  // By operand: the last instruction of the last level that reads it in place; -1 if there is none, SIZE_MAX if a
  // reduction reads it.
  std::vector<int64_t> last_read;
  int buffers = 0, scalars = 0;
};

}  // namespace trainer::cpu
