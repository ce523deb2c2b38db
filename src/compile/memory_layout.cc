// Best-fit offsets of blocks with lifetimes.
#include "compile/memory_layout.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace trainer {

int64_t lay_out_blocks(const std::vector<Lifetime>& blocks, std::vector<int64_t>* offsets) {
  constexpr int64_t kAlignment = 256;  // cuBLASLt requires it of its workspace
  auto padded = [&](size_t block) { return (blocks[block].bytes + kAlignment - 1) / kAlignment * kAlignment; };
  offsets->assign(blocks.size(), 0);
  std::vector<size_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });

  std::vector<size_t> placed;  // in order of offset
  int64_t total = 0;
  for (size_t block : by_size) {
    if (blocks[block].bytes == 0) continue;
    const int64_t size = padded(block);
    int64_t end_of_last = 0, best_offset = -1, best_gap = std::numeric_limits<int64_t>::max();
    for (size_t other : placed) {
      if (blocks[other].last < blocks[block].first || blocks[block].last < blocks[other].first) continue;
      const int64_t gap = (*offsets)[other] - end_of_last;
      if (gap >= size && gap < best_gap) {
        best_gap = gap;
        best_offset = end_of_last;
      }
      end_of_last = std::max(end_of_last, (*offsets)[other] + padded(other));
    }
    const int64_t offset = best_offset >= 0 ? best_offset : end_of_last;
    (*offsets)[block] = offset;
    total = std::max(total, offset + size);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                   [&](int64_t at, size_t other) { return at < (*offsets)[other]; }),
                  block);
  }
  return total;
}

}  // namespace trainer
