// Reduces tiles into windows and windows into outputs.
#include "device/cpu/map_accumulators.h"

#include <algorithm>
#include <limits>

namespace trainer::cpu {
namespace {

// The maximum of floats that a lane adds before the sum moves to double.
constexpr int kGatheredTiles = 64;

// Offsets in a window, which contains the kept dims of a tile densely.
TilePattern window_pattern(const TilePattern& tile) {
  TilePattern pattern = tile;
  int64_t next = 1;
  for (size_t i = pattern.size(); i-- > 0;) {
    if (pattern[i].stride == 0) continue;
    pattern[i].stride = next;
    next *= pattern[i].extent;
  }
  return collapsed(pattern);
}

TilePattern kept_dims(TilePattern tile) {
  tile.erase(std::remove_if(tile.begin(), tile.end(), [](const StridedDim& dim) { return dim.stride == 0; }),
             tile.end());
  return tile;
}

}  // namespace

Accumulator::Accumulator(const TileReduction& reduction, const Stream& stream, int64_t count, bool owned,
                         const MapIteration& iteration, const MapTable& table)
    : table_(table),
      kind_(reduction.kind),
      output_(reduction.output),
      count_(count),
      owned_(owned),
      gathers_(reduction.accumulator >= 0),
      tile_floats_(iteration.whole_tile()) {
  const TilePattern whole = iteration.tile_pattern(stream, false), last = iteration.tile_pattern(stream, true);
  fold_whole_ = window_pattern(whole);
  fold_last_ = window_pattern(last);
  window_ = count_of(kept_dims(whole));
  store_whole_ = collapsed(kept_dims(whole));
  store_last_ = collapsed(kept_dims(last));
  tiled_kept_ = whole.front().stride != 0;
  last_kept_loop_ = stream.loops == 0 ? -1 : 31 - __builtin_clz(stream.loops);
}

double Accumulator::start_value() const {
  return kind_ == Reduction::kSum ? 0.0 : -std::numeric_limits<double>::infinity();
}

double Accumulator::join(double a, double b) const {
  if (kind_ == Reduction::kSum) return a + b;
  return a != a || a > b ? a : b;
}

void Accumulator::start(AccumulatorMemory* memory) const {
  memory->tiles = 0;
  std::fill_n(memory->window, window_, start_value());
  if (memory->total != nullptr) std::fill_n(memory->total, count_, start_value());
}

void Accumulator::open_tile(AccumulatorMemory* memory) const {
  if (memory->tiles == 0) std::fill_n(memory->tile, tile_floats_, static_cast<float>(start_value()));
}

void Accumulator::close_tile(AccumulatorMemory* memory, bool last) const {
  if (++memory->tiles < kGatheredTiles) return;
  fold(tiled_kept_ && last ? fold_last_ : fold_whole_, memory->tile, memory->window);
  memory->tiles = 0;
}

void Accumulator::add_tile(AccumulatorMemory* memory, const float* a, const float* b, bool last) const {
  if (b != nullptr) {
    *memory->window += static_cast<double>(table_.dot(a, b, count_of(last ? fold_last_ : fold_whole_)));
  } else {
    fold(last ? fold_last_ : fold_whole_, a, memory->window);
  }
}

void Accumulator::fold(const TilePattern& pattern, const float* tile, double* window) const {
  const bool sum = kind_ == Reduction::kSum;
  if (pattern.empty()) return (sum ? table_.sum_each_row : table_.max_each_row)(window, tile, 1, 1);
  // One call handles the innermost two dims, of which one is kept with stride 1 and the other is reduced.
  const StridedDim inner = pattern.back();
  const size_t outer = pattern.size() >= 2 ? pattern.size() - 2 : 0;
  const int64_t rows = pattern.size() >= 2 ? pattern[outer].extent : 1;
  const auto reduce =
      inner.stride == 0 ? (sum ? table_.sum_each_row : table_.max_each_row) : (sum ? table_.sum_rows : table_.max_rows);
  int64_t counters[kMaxDims] = {}, offset = 0;
  for (;;) {
    reduce(window + offset, tile, rows, inner.extent);
    tile += rows * inner.extent;
    size_t dim = outer;
    for (; dim > 0; --dim) {
      offset += pattern[dim - 1].stride;
      if (++counters[dim - 1] < pattern[dim - 1].extent) break;
      offset -= pattern[dim - 1].stride * pattern[dim - 1].extent;
      counters[dim - 1] = 0;
    }
    if (dim == 0) return;
  }
}

void Accumulator::flush(AccumulatorMemory* memory, float* output, int64_t offset, bool last) const {
  const bool shorter = tiled_kept_ && last;
  if (memory->tiles > 0) {
    fold(shorter ? fold_last_ : fold_whole_, memory->tile, memory->window);
    memory->tiles = 0;
  }
  const TilePattern& pattern = shorter ? store_last_ : store_whole_;
  const StridedDim inner = pattern.empty() ? StridedDim{1, 1} : pattern.back();
  const size_t outer = pattern.empty() ? 0 : pattern.size() - 1;
  int64_t counters[kMaxDims] = {};
  double* from = memory->window;
  for (;;) {
    if (memory->total != nullptr) {
      double* to = memory->total + offset;
      for (int64_t i = 0; i < inner.extent; ++i) to[i * inner.stride] = join(to[i * inner.stride], from[i]);
    } else {
      float* to = output + offset;
      for (int64_t i = 0; i < inner.extent; ++i) to[i * inner.stride] = static_cast<float>(from[i]);
    }
    from += inner.extent;
    size_t dim = outer;
    for (; dim > 0; --dim) {
      offset += pattern[dim - 1].stride;
      if (++counters[dim - 1] < pattern[dim - 1].extent) break;
      offset -= pattern[dim - 1].stride * pattern[dim - 1].extent;
      counters[dim - 1] = 0;
    }
    if (dim == 0) break;
  }
  std::fill(memory->window, from, start_value());
}

}  // namespace trainer::cpu
