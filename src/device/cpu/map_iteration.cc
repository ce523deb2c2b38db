// Chooses the tiles and computes the movement of each stream from tile to tile.
#include "device/cpu/map_iteration.h"

#include <algorithm>
#include <utility>

namespace trainer::cpu {
namespace {

int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

int64_t count_of(const TilePattern& pattern) {
  int64_t count = 1;
  for (const StridedDim& dim : pattern) count *= dim.extent;
  return count;
}

TilePattern collapsed(const TilePattern& pattern) {
  TilePattern out;
  for (const StridedDim& dim : pattern) {
    if (dim.extent == 1) continue;
    if (!out.empty() && out.back().stride == dim.stride * dim.extent) {
      out.back() = {out.back().extent * dim.extent, dim.stride};
    } else {
      out.push_back(dim);
    }
  }
  return out;
}

MapIteration::MapIteration(MapDims dims, std::vector<Stream>* streams)
    : streams_(*streams), extents_(std::move(dims.extents)) {
  for (size_t s = 0; s < streams_.size(); ++s) streams_[s].strides = std::move(dims.strides[s]);
  choose_tile();
  make_loops();
  for (Stream& stream : streams_) walk(&stream);
}

void MapIteration::choose_tile() {
  tiled_dim_ = static_cast<int>(extents_.size()) - 1;
  auto extent = [&] { return extents_[static_cast<size_t>(tiled_dim_)]; };
  while (tiled_dim_ > 0 && inner_ * extent() <= kTileFloats / 2) inner_ *= extent(), --tiled_dim_;
  const int64_t most = kTileFloats / inner_;
  rows_ = ceiling(extent(), ceiling(extent(), most));
  if (inner_ == 1 && rows_ < extent()) rows_ = ceiling(rows_, 16) * 16;
  last_rows_ = extent() - (ceiling(extent(), rows_) - 1) * rows_;
}

void MapIteration::make_loops() {
  for (int dim = 0; dim < tiled_dim_; ++dim) loops_.push_back({extents_[static_cast<size_t>(dim)], dim});
  const int64_t steps = ceiling(extents_[static_cast<size_t>(tiled_dim_)], rows_);
  if (steps == 1) return;
  tiled_loop_ = static_cast<int>(loops_.size());
  loops_.push_back({steps, tiled_dim_});
}

void MapIteration::move_outwards(const Stream& stream) {
  const TileLoop tiled = tiled_loop_ >= 0 ? loops_[static_cast<size_t>(tiled_loop_)] : TileLoop{0, -1};
  std::stable_partition(loops_.begin(), loops_.end(),
                        [&](const TileLoop& loop) { return stream.strides[static_cast<size_t>(loop.dim)] != 0; });
  for (size_t i = 0; i < loops_.size(); ++i) {
    if (loops_[i].dim == tiled.dim) tiled_loop_ = static_cast<int>(i);
  }
  for (Stream& each : streams_) walk(&each);
}

TilePattern MapIteration::tile_pattern(const Stream& stream, bool last) const {
  TilePattern pattern;
  for (size_t dim = static_cast<size_t>(tiled_dim_); dim < extents_.size(); ++dim)
    pattern.push_back({extents_[dim], stream.strides[dim]});
  pattern.front().extent = last ? last_rows_ : rows_;
  return pattern;
}

void MapIteration::walk(Stream* stream) const {
  stream->whole = collapsed(tile_pattern(*stream, false));
  stream->last = collapsed(tile_pattern(*stream, true));
  stream->loops = 0;
  stream->steps.assign(loops_.size(), 0);
  stream->strides_of_loops.assign(loops_.size(), 0);
  int64_t restart = 0;
  for (size_t i = loops_.size(); i-- > 0;) {
    const int64_t stride =
        stream->strides[static_cast<size_t>(loops_[i].dim)] * (static_cast<int>(i) == tiled_loop_ ? rows_ : 1);
    stream->strides_of_loops[i] = stride;
    stream->steps[i] = stride - restart;
    restart += stride * (loops_[i].trips - 1);
    if (stride != 0) stream->loops |= uint32_t{1} << i;
  }
}

}  // namespace trainer::cpu
