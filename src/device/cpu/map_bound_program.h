// A tile program with its addresses: slots laid out in memory, operands and outputs walked tile by tile.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "device/cpu/map_accumulators.h"
#include "device/cpu/map_program.h"

namespace trainer::cpu {

// The tile at hand.
struct Tile {
  int64_t lengths[3];      // by TileLength
  bool last;               // of the tiled dim: the shorter one
  const int64_t* offsets;  // by stream
  uint64_t pass;
};

class BoundProgram {
 public:
  // Addresses by slot; one such table for each part.
  using Slots = std::vector<float*>;

  BoundProgram(TileProgram program, const MapBody& body, const MapStreams& streams, const MapIteration& iteration,
               const MapTable& table);

  const TileProgram& program() const { return program_; }
  // Of a part's buffers and scalars.
  int64_t bytes() const;

  // `prefetches`: the operands do not stay in a cache.
  void bind(std::span<void* const> operands, std::span<void* const> outputs, const std::vector<int64_t>& operand_bytes,
            const std::vector<int64_t>& output_bytes, bool prefetches);
  void place(std::byte* memory, const std::vector<AccumulatorMemory>& accumulators, Slots* slots) const;

  // Moves to a part's first tile; then from tile to tile by `step`, which holds each stream's.
  void start(const int64_t* offsets, Slots* slots) const;
  void move(const int64_t* step, Slots* slots) const;
  void run_levels(size_t first, size_t end, const Tile& tile, const Slots& slots) const;
  // After the last level: outputs that could not be written in place.
  void store_deferred(const Tile& tile, const Slots& slots) const;

 private:
  // A slot that moves through an operand's or output's memory.
  struct Cursor {
    int slot, stream;
  };
  // A slot whose next tile is fetched ahead, and how far on that lies.
  struct Ahead {
    int slot;
    int64_t distance;
  };

  const Stream& stream(int index) const { return streams_.all[static_cast<size_t>(index)]; }
  int64_t constants() const;
  float* base_of(int slot) const;
  void choose_deferred(const std::vector<int64_t>& operand_bytes, const std::vector<int64_t>& output_bytes);
  void prefetch(const float* tile) const;
  // Of a tensor of bf16 that is walked contiguously, from its tile at hand.
  void prefetch_next(const Stream& walked, const Bf16* tile) const;
  void run_load(const TileLoad& load, const Tile& tile, const Slots& slots) const;

  const TileProgram program_;
  const MapBody& body_;
  const MapStreams& streams_;
  const MapTable& table_;
  const int64_t whole_tile_;
  std::vector<void*> operands_, outputs_;
  std::vector<Cursor> cursors_;
  std::vector<Ahead> ahead_;
  std::vector<bool> deferred_;  // by stored output
  bool any_deferred_ = false, prefetches_ = false;
};

}  // namespace trainer::cpu
