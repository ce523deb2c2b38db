// Generates the kernels of a map as CUDA C, with their arguments.
//
// The source depends on the expression, the element types, and which stream varies along which dim. Extents, strides,
// constants and keys are arguments, so that the many maps of a net share a few sources. The source includes no headers.
// Small maps are interpreted instead (kernels/interpreter.h), unless they follow a reduction: then they are part of its
// kernel, and the last block to finish computes them. Consecutive maps that have the same kernel run side by side in
// one launch: each has its own arguments and blocks.
//
// A large reduction is split into parts. The last block that stores a part of a result joins all of its parts. The
// order of all reductions is fixed, so the result does not depend on the order in which blocks run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/device.h"

namespace trainer::cuda {

// The addresses in the argument of a kernel that one map reads. They begin at byte `at`: `operands` and `outputs` by
// their numbers among those of all maps of the launch, the partial results and the counters of this map, the pass
// number in device memory, and for each of `tables` its ends (int64) and values (float).
struct MapAddresses {
  size_t at = 0;
  std::vector<int> operands, outputs, tables;
  int64_t first_partial = 0, first_counter = 0;  // among those of the launch
};

// A launch of the kernel "map". Blocks have `lanes` x `rows` threads.
//
// It can be split: each launch takes some of the maps side by side, and the one that takes the last of them also
// computes the maps that follow. All launches have the same argument but for what take() sets.
struct MapLaunch {
  std::string source;
  int lanes = 1, rows = 1;
  int64_t side_by_side = 0;    // maps
  int64_t blocks = 0;          // for each of the maps side by side
  int64_t partial_floats = 0;  // of workspace, for the partial results
  int64_t counters = 0;        // unsigned numbers in device memory, 0 before and after the launch
  int64_t bytes = 0;           // KernelCost::bytes
  std::vector<std::byte> arguments;
  std::vector<MapAddresses> addresses;  // of all maps

  void take(int64_t first, int64_t count);
};

// The number of maps at the front that run side by side in one launch if they are independent.
size_t maps_side_by_side(std::span<const OpInstance> maps, int multiprocessors);

// The launches of the map or of the maps side by side at the front, in order; the last also computes the small maps
// that follow in `maps`. `multiprocessors` sets the number of parts of a reduction. An operand that a stored output
// overwrites must have the output's order and element type.
std::vector<MapLaunch> map_launches(std::span<const OpInstance> maps, int multiprocessors);

// Why the map cannot be generated, or "".
std::string refuse_generated_map(const OpInstance& instance);

}  // namespace trainer::cuda
