// Accumulates the tiles of a reduced output: first a few tiles in floats, then in doubles, then in the output or, if
// several threads reduce the same elements, in one array of doubles per thread.
#pragma once

#include <cstdint>

#include "device/cpu/isa/map_table.h"
#include "device/cpu/map_iteration.h"
#include "device/cpu/map_program.h"

namespace trainer::cpu {

// The memory of one thread for one reduced output.
struct AccumulatorMemory {
  float* tile = nullptr;     // sums along the tile
  double* window = nullptr;  // the output elements of a tile
  double* total = nullptr;   // all elements of the output; null if the output is owned
  int tiles = 0;             // summed in `tile` so far
};

class Accumulator {
 public:
  Accumulator(const TileReduction& reduction, const Stream& stream, int64_t count, bool owned,
              const MapIteration& iteration, const MapTable& table);

  int output() const { return output_; }
  int64_t count() const { return count_; }
  bool owned() const { return owned_; }
  bool gathers() const { return gathers_; }
  int64_t window() const { return window_; }
  // The last loop that advances to other output elements; -1 if there is none.
  int last_kept_loop() const { return last_kept_loop_; }

  void start(AccumulatorMemory* memory) const;
  // Called before a tile of instructions that add to memory.tile.
  void open_tile(AccumulatorMemory* memory) const;
  // Called after the tile. `last`: the tile is the shorter one of the tiled dim's last step.
  void close_tile(AccumulatorMemory* memory, bool last) const;
  // Adds a tile of values a, or of a * b if b is not null.
  void add_tile(AccumulatorMemory* memory, const float* a, const float* b, bool last) const;
  // Moves the window, which begins at `offset` of the output, to the output or to memory.total.
  void flush(AccumulatorMemory* memory, float* output, int64_t offset, bool last) const;

  double start_value() const;
  double join(double a, double b) const;

 private:
  void fold(const TilePattern& pattern, const float* tile, double* window) const;

  const MapTable& table_;
  Reduction kind_;
  int output_;
  int64_t count_;
  bool owned_, gathers_;
  bool tiled_kept_ = false;  // the last tile's window is shorter
  int last_kept_loop_ = -1;
  int64_t tile_floats_, window_ = 1;
  TilePattern fold_whole_, fold_last_;    // offsets in the window
  TilePattern store_whole_, store_last_;  // offsets of the window in the output
};

}  // namespace trainer::cpu
