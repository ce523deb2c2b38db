// How a launch walks over a map's domain: what it makes and reads, and how its work is cut into blocks,
// threads and parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/map_layout.h"
#include "runtime/device.h"

namespace trainer::cuda {

// Threads of a block along both axes in walks that reduce; LANES and ROWS of preludes/map.h.
constexpr int kLanes = 32, kRows = 8;

struct MapWalk {
  // Over the joined dims of the domain.
  enum class Kind : uint8_t {
    kElements,  // nothing is reduced: a thread takes a few neighbours of the innermost dim
    kRows,      // the innermost dim is reduced: the lanes of a warp stride over what one result sums
    kColumns,  // the innermost dim is kept: lanes stand on neighbouring results, a block's rows share the sum
               // out
  };

  // `outputs`: stored ones, and reduced ones that all keep the same axes. `multiprocessors`: how many blocks'
  // worth of work keeps the device busy.
  MapWalk(const OpInstance& instance, const MapLayout& layout, const std::vector<size_t>& outputs,
          int multiprocessors);

  int64_t extent(size_t dim) const { return dims.extents[dim]; }
  int64_t stride(int stream, size_t dim) const { return dims.strides[static_cast<size_t>(stream)][dim]; }
  size_t innermost() const { return dims.extents.size() - 1; }

  std::vector<size_t> outputs, stored, reduced;  // stored and reduced: which of the outputs
  std::vector<bool> used;                        // nodes that they depend on
  // What these nodes and outputs take, each in the sequence in which the kernels' arguments number it.
  std::vector<int> streams, operands, tables, keys;

  MapDims dims;
  std::vector<size_t> kept, summed;  // dims
  int64_t kept_count = 1, summed_count = 1;
  Kind kind = Kind::kElements;
  int width = 1;                     // neighbours of the innermost dim that a thread takes
  bool has_far = false;              // offsets that 32 bits do not hold
  int64_t parts = 1;                 // into which each sum is cut
  int64_t chunk = 0;                 // elements that a part sums
  int64_t units = 0;                 // what blocks stride over: a thread's neighbours, or parts of results
  int lanes = kLanes, rows = kRows;  // threads of a block
  int64_t blocks = 0, finish_blocks = 0;
};

// The walks that make all outputs of a map, in sequence. Stored outputs come last, since they may overwrite
// operands.
std::vector<MapWalk> map_walks(const OpInstance& instance, const MapLayout& layout, int multiprocessors);

}  // namespace trainer::cuda
