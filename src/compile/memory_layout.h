// Offsets for blocks with lifetimes: blocks that live at the same time lie apart.
#pragma once

#include <cstdint>
#include <vector>

namespace trainer {

struct Lifetime {
  int first = 0, last = 0;  // steps, both included
  int64_t bytes = 0;
};

// Chooses an offset a block, each a multiple of 256 bytes, and returns the bytes needed. Largest blocks first, each in
// the smallest gap that holds it among those alive with it.
int64_t lay_out_blocks(const std::vector<Lifetime>& blocks, std::vector<int64_t>* offsets);

}  // namespace trainer
