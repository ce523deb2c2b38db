// Splits the tiles of a map into parts for threads.
//
// The iterations of the first `loops` loops are split into `parts` consecutive ranges. A reduced output is owned if all
// tiles of each of its elements are in one part, one after another; each element is stored as soon as it is complete.
// For the other outputs each part has its own array of sums, and the arrays are added in the order of the parts.
#pragma once

#include <cstdint>
#include <vector>

#include "device/cpu/map_iteration.h"

namespace trainer::cpu {

struct ReducedStream {
  const Stream* stream;
  int64_t count;  // reduced elements
};

struct MapPartition {
  // May change the order of the iteration's loops.
  MapPartition(MapIteration* iteration, const std::vector<ReducedStream>& reduced, int threads);

  int loops = 0;
  int64_t steps = 1;  // iterations of these loops
  int64_t tiles_per_step = 1;
  int parts = 1;
  std::vector<bool> owned;  // by reduced output

  int64_t first_step(int part) const { return steps * part / parts; }
};

}  // namespace trainer::cpu
