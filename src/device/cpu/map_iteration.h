// The iteration of the map interpreter over a domain: tiles of some hundred elements in physical order.
//
// A tile covers the last few dims completely and `rows` indices of the dim before them, the tiled dim. Loops cover the
// rest. The loop of the tiled dim advances by `rows`; its last step may be shorter.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/map_layout.h"

namespace trainer::cpu {

// Small enough that a dozen tiles fit in L1. With smaller tiles the calls of primitives take a visible part of the
// time.
constexpr int64_t kTileFloats = 512;
constexpr int kMaxDims = 32;

struct StridedDim {
  int64_t extent, stride;
};
// Offsets within a tile, outermost dim first; empty for a single element.
using TilePattern = std::vector<StridedDim>;

int64_t count_of(const TilePattern& pattern);
// Merges contiguous dims and drops dims of extent 1.
TilePattern collapsed(const TilePattern& pattern);

// A stream of ops/map_layout.h with its movement through loops and tiles.
struct Stream {
  std::vector<int64_t> strides;  // along every dim
  std::vector<int64_t> steps;    // by loop: the offset when the loop advances and its inner loops restart
  std::vector<int64_t> strides_of_loops;
  TilePattern whole, last;  // collapsed offsets within a tile, and within the shorter last tile
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
  // Fills `streams`, one for each entry of the dims' strides.
  MapIteration(MapDims dims, std::vector<Stream>* streams);

  // Moves the loops that `stream` depends on outside the others; the order within both groups stays.
  void move_outwards(const Stream& stream);

  const std::vector<TileLoop>& loops() const { return loops_; }
  int tiled_loop() const { return tiled_loop_; }  // -1 if there is a single step
  int64_t whole_tile() const { return rows_ * inner_; }
  int64_t last_tile() const { return last_rows_ * inner_; }
  // Offsets within a tile for all its dims, not collapsed.
  TilePattern tile_pattern(const Stream& stream, bool last) const;

 private:
  void choose_tile();
  void make_loops();
  void walk(Stream* stream) const;

  std::vector<Stream>& streams_;
  std::vector<int64_t> extents_;  // of the merged dims, outermost first
  int tiled_dim_ = 0;
  int64_t inner_ = 1;  // elements of the dims inside the tiled dim
  int64_t rows_ = 1, last_rows_ = 1;
  std::vector<TileLoop> loops_;
  int tiled_loop_ = -1;
};

}  // namespace trainer::cpu
