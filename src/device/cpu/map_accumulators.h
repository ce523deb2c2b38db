// Where the tiles of a reduced output are gathered: floats along the tile for a few tiles, then doubles, then
// the output or, where several threads reduce the same elements, an array of doubles for each thread.
#pragma once

#include <cstdint>

#include "device/cpu/isa/map_table.h"
#include "device/cpu/map_iteration.h"
#include "device/cpu/map_program.h"

namespace trainer::cpu {

// One thread's memory of one reduced output.
struct AccumulatorMemory {
  float* tile = nullptr;     // sums along the tile
  double* window = nullptr;  // the elements that a tile reaches
  double* total = nullptr;   // every element of the output; null where the output is owned
  int tiles = 0;             // gathered in `tile`
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
  // The last loop that moves on to other elements; -1 where none does.
  int last_kept_loop() const { return last_kept_loop_; }

  void start(AccumulatorMemory* memory) const;
  // Before a tile of instructions that add to memory.tile.
  void open_tile(AccumulatorMemory* memory) const;
  // After it; `last` where it is the shorter tile of the tiled dim's last step.
  void close_tile(AccumulatorMemory* memory, bool last) const;
  // Adds a tile of values a, times b unless it is null.
  void add_tile(AccumulatorMemory* memory, const float* a, const float* b, bool last) const;
  // The elements of the window are complete, or left for now: `offset` is where they lie in the output.
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
  TilePattern store_whole_, store_last_;  // the window's elements in the output
};

}  // namespace trainer::cpu
