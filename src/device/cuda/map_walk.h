// How a launch walks over a map's domain: what it makes and reads, and how its work is cut into blocks,
// threads and parts.
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

struct MapWalk {
  // Over the joined dims of the domain.
  enum class Kind : uint8_t {
    kElements,  // nothing is reduced
    kRows,      // the innermost dim is reduced: the lanes of a warp, or of a block, stride over what one result
                // sums
    kColumns,   // the innermost dim is kept: lanes stand on neighbouring results, a block's rows share the sum
                // out
  };

  // `outputs`: stored ones, and reduced ones that all keep the same axes. `multiprocessors`: how many blocks'
  // worth of work keeps the device busy.
  MapWalk(const OpInstance& instance, const MapLayout& layout, const std::vector<size_t>& outputs, int multiprocessors);

  int64_t extent(size_t dim) const { return dims.extents[dim]; }
  int64_t stride(int stream, size_t dim) const { return dims.strides[static_cast<size_t>(stream)][dim]; }
  size_t innermost() const { return dims.extents.size() - 1; }
  // Whether a stream moves along what a result sums.
  bool moves(int stream) const;
  // Neighbouring results that a thread sums together.
  int width_of_results() const { return kind == Kind::kColumns ? width : 1; }

  std::vector<size_t> outputs, stored, reduced;  // stored and reduced: which of the outputs
  std::vector<bool> used;                        // nodes that they depend on
  // What these nodes and outputs take, each in the sequence in which the kernels' arguments number it.
  std::vector<int> streams, operands, tables, keys;

  MapDims dims;
  std::vector<size_t> kept, summed;  // dims
  Kind kind = Kind::kElements;
  int width = 1;      // neighbours of the innermost dim that a thread takes together: a group
  int in_flight = 1;  // groups that a thread of a sum loads before it goes on with the first
  int64_t kept_groups = 1, summed_groups = 1;
  bool has_far = false;            // offsets that 32 bits do not hold
  int64_t parts = 1;               // into which each sum is cut
  int64_t chunk = 0;               // groups that a part sums
  int64_t units = 0;               // what blocks stride over: groups of elements, or parts of groups of results
  int lanes = kThreads, rows = 1;  // threads of a block
  int64_t blocks = 0, finish_blocks = 0;
};

// A value's number in one of a walk's lists.
template <typename T>
size_t place(const std::vector<T>& list, T value) {
  return static_cast<size_t>(std::find(list.begin(), list.end(), value) - list.begin());
}

// The walks that make all outputs of a map, in sequence. Stored outputs come last, since they may overwrite
// operands.
std::vector<MapWalk> map_walks(const OpInstance& instance, const MapLayout& layout, int multiprocessors);

// Of operands that several launches read, each with its `operands`: beyond the first time.
template <typename Launches>
int64_t bytes_read_again(const OpInstance& instance, const Launches& launches) {
  std::vector<bool> read(instance.inputs.size(), false);
  int64_t bytes = 0;
  for (const auto& launch : launches) {
    for (const int operand : launch.operands) {
      const size_t i = static_cast<size_t>(operand);
      if (read[i]) bytes += instance.inputs[i].bytes();
      read[i] = true;
    }
  }
  return bytes;
}

}  // namespace trainer::cuda
