// Which part of a map's tiles each thread runs, and whether it finishes reduced elements by itself.
//
// The first `loops` loops are split into `parts` consecutive ranges of their joint count. An output is owned
// where all tiles of a reduced element lie in one part, one behind the other: it is stored as soon as it is
// complete. The others are summed by each part in an array of its own, and these are added in the sequence of
// the parts.
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
  // May change the sequence of the iteration's loops.
  MapPartition(MapIteration* iteration, const std::vector<ReducedStream>& reduced, int threads);

  int loops = 0;
  int64_t steps = 1;  // of these loops together
  int64_t tiles_per_step = 1;
  int parts = 1;
  std::vector<bool> owned;  // by reduced output

  int64_t first_step(int part) const { return steps * part / parts; }
};

}  // namespace trainer::cpu
