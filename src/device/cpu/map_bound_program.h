// A tile program with addresses: the memory of its slots, and its position in operands and outputs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "device/cpu/map_accumulators.h"
#include "device/cpu/map_program.h"

namespace trainer::cpu {

// The current tile.
struct Tile {
  int64_t lengths[3];      // by TileLength
  bool last;               // the shorter tile of the last step of the tiled dim
  const int64_t* offsets;  // by stream
  uint64_t pass;
};

class BoundProgram {
 public:
  // Addresses by slot. Each part has its own.
  using Slots = std::vector<float*>;

  BoundProgram(TileProgram program, const MapBody& body, const MapStreams& streams, const MapIteration& iteration,
               const MapTable& table);

  const TileProgram& program() const { return program_; }
  // The size of a part's buffers and scalars.
  int64_t bytes() const;

  // `prefetches`: whether to prefetch the operands, which do not fit in a cache.
  void bind(std::span<void* const> operands, std::span<void* const> outputs, const std::vector<int64_t>& operand_bytes,
            const std::vector<int64_t>& output_bytes, bool prefetches);
  void place(std::byte* memory, const std::vector<AccumulatorMemory>& accumulators, Slots* slots) const;

  // Moves to the first tile of a part, and from tile to tile by `step`, an offset per stream.
  void start(const int64_t* offsets, Slots* slots) const;
  void move(const int64_t* step, Slots* slots) const;
  void run_levels(size_t first, size_t end, const Tile& tile, const Slots& slots) const;
  // Called after the last level: writes the outputs that were not written in place.
  void store_deferred(const Tile& tile, const Slots& slots) const;

 private:
  // A slot that moves through the memory of an operand or output.
  struct Cursor {
    int slot, stream;
  };
  // A slot whose next tile is prefetched, and the distance to that tile.
  struct Ahead {
    int slot;
    int64_t distance;
  };

  const Stream& stream(int index) const { return streams_.all[static_cast<size_t>(index)]; }
  int64_t constants() const;
  float* base_of(int slot) const;
  void choose_deferred(const std::vector<int64_t>& operand_bytes, const std::vector<int64_t>& output_bytes);
  void prefetch(const float* tile) const;
  // Prefetches the next tile of a contiguous bf16 tensor.
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
