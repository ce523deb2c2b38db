// A map as CUDA C: text of kernels, and the numbers that make them those of one map.
//
// The text depends on the expression, on which streams move along which dim and on element types. Extents,
// strides, constants and keys are arguments, so that a net's many maps share a few texts. It needs no
// headers. Small maps have none (interpreted_map.h).
//
// A large reduction is cut into parts, whose results a second kernel of the text, "finish", joins in double.
// What joins what is fixed: the bits do not depend on the order in which blocks run. map_walk.h says how
// kernels walk the domain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/device.h"

namespace trainer::cuda {

// One launch of "map", and of "finish" where there are parts. Blocks have `lanes` x `rows` threads.
struct MapLaunch {
  std::string text;
  int lanes = 1, rows = 1;
  int64_t blocks = 1, finish_blocks = 0;
  int64_t part_floats = 0;  // of workspace, where the parts' results lie

  // The kernels' one argument. Addresses are its first words: `operands` and `outputs` by their numbers in
  // the map, the workspace, the pass number in device memory, and for each of `tables` its ends (int64) and
  // values (float).
  std::vector<std::byte> arguments;
  std::vector<int> operands, outputs, tables;
};

// The launches that make a map, in sequence. `multiprocessors`: how many blocks' worth of work keeps the
// device busy. An operand in whose memory a stored output lies must have the output's order and element type.
std::vector<MapLaunch> map_launches(const OpInstance& instance, int multiprocessors);

// Why there is no text for it, or "".
std::string refuse_map_text(const OpInstance& instance);

}  // namespace trainer::cuda
