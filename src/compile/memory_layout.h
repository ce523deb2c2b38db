// Assigns offsets to blocks with lifetimes: blocks that are live at the same time do not overlap.
#pragma once

#include <cstdint>
#include <vector>

namespace trainer {

struct Lifetime {
  int first = 0, last = 0;  // steps, both inclusive
  int64_t bytes = 0;
};

// Chooses an offset for each block, a multiple of 256 bytes, and returns the total bytes. Places the largest blocks
// first, each into the smallest gap that holds it between blocks that are live at the same time.
int64_t lay_out_blocks(const std::vector<Lifetime>& blocks, std::vector<int64_t>* offsets);

}  // namespace trainer
