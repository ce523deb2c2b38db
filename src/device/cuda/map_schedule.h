// The schedule of a launch of a map: its outputs and operands, and the split of its domain into thread blocks, threads
// and parts.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/map_layout.h"
#include "runtime/device.h"

namespace trainer::cuda {

// Threads of a warp and of a block; LANES and THREADS of preludes/map.h.
constexpr int kLanes = 32, kThreads = 256;

struct MapSchedule {
  // For the merged dims of the domain.
  enum class Kind : uint8_t {
    kElements,  // no reduction
    kRows,      // the innermost dim is reduced: the lanes of a warp, or all threads of a block, share one result; a
                // reduction that is split into parts takes all threads
    kColumns,   // the innermost dim is kept: each lane has its own result, and the rows of a block share the reduction
  };

  // `outputs`: stored outputs, and reduced outputs that all keep the same axes. `multiprocessors` sets the number of
  // parts of a reduction.
  MapSchedule(const OpInstance& instance, const MapLayout& layout, const std::vector<size_t>& outputs,
              int multiprocessors);

  int64_t extent(size_t dim) const { return dims.extents[dim]; }
  int64_t stride(int stream, size_t dim) const { return dims.strides[static_cast<size_t>(stream)][dim]; }
  size_t innermost() const { return dims.extents.size() - 1; }
  // Whether a stream varies along a reduced dim.
  bool moves(int stream) const;
  // Neighboring results that a thread computes together.
  int width_of_results() const { return kind == Kind::kColumns ? width : 1; }
  // The results of a reduced output that the threads of a unit compute.
  int64_t results_of_unit() const { return kind == Kind::kColumns ? int64_t{lanes} * width : 1; }

  std::vector<size_t> outputs, stored, reduced;  // `outputs` is the union of the other two
  std::vector<bool> used;                        // the nodes that the outputs depend on
  // The inputs of these nodes and outputs, in the order of the kernels' arguments.
  std::vector<int> streams, operands, tables, keys;

  MapDims dims;
  std::vector<size_t> kept, summed;  // dims
  Kind kind = Kind::kElements;
  int width = 1;      // vector width: neighbors along the innermost dim that a thread takes together, a group
  int in_flight = 1;  // groups that a thread of a reduction loads before it uses the first
  int64_t kept_groups = 1, summed_groups = 1;
  bool needs_64_bits = false;  // offsets do not fit in 32 bits
  int64_t parts = 1;           // that each reduction is split into
  int64_t chunk = 0;           // groups per part
  int64_t units = 0;           // of work for the grid-stride loop: groups of elements, or parts of groups of results
  int lanes = kThreads, rows = 1;  // of a block: lanes * rows threads
  int64_t blocks = 0;
};

// The index of a value in a list.
template <typename T>
size_t index_of(const std::vector<T>& list, T value) {
  return static_cast<size_t>(std::find(list.begin(), list.end(), value) - list.begin());
}

// The schedules of all launches of a map, in order. Stored outputs come last, because they may overwrite operands.
std::vector<MapSchedule> map_schedules(const OpInstance& instance, const MapLayout& layout, int multiprocessors);

// The bytes of operands that the launches of a map read after the first read.
int64_t bytes_read_again(const OpInstance& instance, const std::vector<MapSchedule>& schedules);

}  // namespace trainer::cuda
