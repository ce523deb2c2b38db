// Chooses the loops to split.
#include "device/cpu/map_partition.h"

#include <algorithm>

namespace trainer::cpu {
namespace {

// An array of at most this size per thread is cheap.
constexpr int64_t kSmallResult = 8192;
constexpr int64_t kEvenSteps = 8;  // per thread, so that an uneven rest does not matter

// The number of leading loops that a stream depends on, if it depends on no other loop; otherwise -1.
int leading_loops(const Stream& stream) {
  const int loops = __builtin_popcount(stream.loops);
  return stream.loops == (uint32_t{1} << loops) - 1 ? loops : -1;
}

int64_t steps_of(const MapIteration& iteration, int first, int last) {
  int64_t steps = 1;
  for (int i = first; i < last; ++i) steps *= iteration.loops()[static_cast<size_t>(i)].trips;
  return steps;
}

}  // namespace

MapPartition::MapPartition(MapIteration* iteration, const std::vector<ReducedStream>& reduced, int threads)
    : owned(reduced.size(), false) {
  const auto largest =
      std::max_element(reduced.begin(), reduced.end(), [](const auto& a, const auto& b) { return a.count < b.count; });
  if (largest != reduced.end()) iteration->move_outwards(*largest->stream);

  const int all = static_cast<int>(iteration->loops().size());
  for (size_t i = 0; i < reduced.size(); ++i) owned[i] = leading_loops(*reduced[i].stream) >= 0;
  for (;;) {
    loops = all;
    size_t strictest = reduced.size();
    for (size_t i = 0; i < reduced.size(); ++i) {
      if (!owned[i] || leading_loops(*reduced[i].stream) >= loops) continue;
      strictest = i;
      loops = leading_loops(*reduced[i].stream);
    }
    steps = steps_of(*iteration, 0, loops);
    const bool even = steps >= threads * kEvenSteps || steps % threads == 0;
    if (even || strictest == reduced.size() || reduced[strictest].count > kSmallResult) break;
    owned[strictest] = false;
  }
  parts = static_cast<int>(std::min<int64_t>(threads, steps));
  tiles_per_step = steps_of(*iteration, loops, all);
}

}  // namespace trainer::cpu
