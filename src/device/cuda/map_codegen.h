// Generates the kernels of a map as CUDA C, with their arguments.
//
// The source depends on the expression, the element types, and which stream varies along which dim. Extents, strides,
// constants and keys are arguments, so that the many maps of a net share a few sources. The source includes no headers.
// Small maps are interpreted instead (kernels/interpreter.h).
//
// A large reduction is split into parts. A second kernel of the source, "combine", reduces their partial results in
// double. The order of all reductions is fixed, so the result does not depend on the order in which blocks run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/device.h"

namespace trainer::cuda {

// A launch of "map", and of "combine" if there are parts. Blocks have `lanes` x `rows` threads.
struct MapLaunch {
  std::string source;
  int lanes = 1, rows = 1;
  int64_t blocks = 1, combine_blocks = 0;
  int64_t partial_floats = 0;  // of workspace, for the partial results

  // The argument of the kernels. It begins with addresses: `operands` and `outputs` by their numbers in the map, the
  // workspace, the pass number in device memory, and for each of `tables` its ends (int64) and values (float).
  std::vector<std::byte> arguments;
  std::vector<int> operands, outputs, tables;
};

// The launches of a map, in order. `multiprocessors` sets the number of parts of a reduction. An operand that a stored
// output overwrites must have the output's order and element type.
std::vector<MapLaunch> map_launches(const OpInstance& instance, int multiprocessors);

// Why the map cannot be generated, or "".
std::string refuse_generated_map(const OpInstance& instance);

}  // namespace trainer::cuda
