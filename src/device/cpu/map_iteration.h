// How the map interpreter walks a domain: in tiles of some hundred elements that follow physical memory.
//
// A tile is a stretch of the innermost dims: all of the last few and `rows` indices
// of the one before them, the tiled dim. What is left are loops; the tiled dim's loop steps by `rows` and its
// last step may be shorter.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/map_layout.h"

namespace trainer::cpu {

// Small enough that a dozen tiles stay in L1; below this the calls of primitives begin to show.
constexpr int64_t kTileFloats = 512;
constexpr int kMostDims = 32;

struct StridedDim {
  int64_t extent, stride;
};
// Offsets within a tile, outermost dim first; empty for a single element.
using TilePattern = std::vector<StridedDim>;

int64_t count_of(const TilePattern& pattern);
// One dim where neighbours are as dense as the strides say; dims of extent 1 dropped.
TilePattern collapsed(const TilePattern& pattern);

// A stream of ops/map_layout.h by loops and tiles.
struct Stream {
  std::vector<int64_t> strides;  // along every dim
  std::vector<int64_t> steps;    // added when a loop advances and the loops inside it start again
  std::vector<int64_t> strides_of_loops;
  TilePattern whole, last;  // collapsed offsets within a tile, and within a tile of the tiled dim's last step
  uint32_t loops = 0;       // bit i: depends on loop i

  bool constant() const { return whole.empty() || (whole.size() == 1 && whole[0].stride == 0); }
  bool contiguous() const { return whole.size() == 1 && whole[0].stride == 1; }
};

struct TileLoop {
  int64_t trips;
  int dim;
};

class MapIteration {
 public:
  // Fills `streams`, one for each of the dims' strides, with what the tile loop needs.
  MapIteration(MapDims dims, std::vector<Stream>* streams);

  // Puts the loops that `stream` depends on outside the others, each group in its old sequence.
  void move_outwards(const Stream& stream);

  const std::vector<TileLoop>& loops() const { return loops_; }
  int tiled_loop() const { return tiled_loop_; }  // -1 where there is a single step
  int64_t whole_tile() const { return rows_ * inner_; }
  int64_t last_tile() const { return last_rows_ * inner_; }
  // Offsets within a tile by the strides of each dim: all dims of the tile, not collapsed.
  TilePattern tile_pattern(const Stream& stream, bool last) const;

 private:
  void choose_tile();
  void make_loops();
  void walk(Stream* stream) const;

  std::vector<Stream>& streams_;
  std::vector<int64_t> extents_;  // of the joined dims, outermost first
  int tiled_dim_ = 0;
  int64_t inner_ = 1;  // elements of the dims inside the tiled one
  int64_t rows_ = 1, last_rows_ = 1;
  std::vector<TileLoop> loops_;
  int tiled_loop_ = -1;
};

}  // namespace trainer::cpu
