// Tests offsets by brute force: blocks that are live at the same time never overlap, and little memory is wasted.
#include "compile/memory_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/philox.h"

namespace trainer {
namespace {

class MemoryLayout : public testing::TestWithParam<int> {};

TEST_P(MemoryLayout, BlocksOfOneTimeLieApart) {
  const uint64_t key = philox_key(static_cast<uint64_t>(GetParam()), "memory", "layout", "");
  uint64_t at = 0;
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(philox_element(key, 0, at++) % static_cast<uint64_t>(n));
  };
  const int steps = 1 + static_cast<int>(below(60));
  std::vector<Lifetime> blocks(static_cast<size_t>(below(120)));
  for (Lifetime& block : blocks) {
    block.first = static_cast<int>(below(steps));
    block.last = std::min(steps - 1, block.first + static_cast<int>(below(below(4) == 0 ? steps : 5)));
    block.bytes = below(6) == 0 ? 0 : 1 + below(below(3) == 0 ? 100000 : 300);
  }

  std::vector<int64_t> offsets;
  const int64_t total = lay_out_blocks(blocks, &offsets);
  ASSERT_EQ(offsets.size(), blocks.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(offsets[i] % 256, 0);
    EXPECT_GE(offsets[i], 0);
    EXPECT_LE(offsets[i] + blocks[i].bytes, total);
    for (size_t k = 0; k < i; ++k) {
      const bool same_time = blocks[i].first <= blocks[k].last && blocks[k].first <= blocks[i].last;
      const bool same_place =
          std::max(offsets[i], offsets[k]) < std::min(offsets[i] + blocks[i].bytes, offsets[k] + blocks[k].bytes);
      EXPECT_FALSE(same_time && same_place) << "blocks " << i << " and " << k;
    }
  }
  // No layout needs less than the blocks that are live at the same time.
  int64_t least = 0;
  for (int step = 0; step < steps; ++step) {
    int64_t alive = 0;
    for (const Lifetime& block : blocks) {
      if (block.first <= step && step <= block.last) alive += (block.bytes + 255) / 256 * 256;
    }
    least = std::max(least, alive);
  }
  EXPECT_GE(total, least);
  EXPECT_LE(total, least * 3 / 2) << "the layout needs more than 1.5 times the minimum";
}

INSTANTIATE_TEST_SUITE_P(Random, MemoryLayout, testing::Range(0, 200));

TEST(MemoryLayoutChain, ReusesWhatHasDied) {
  std::vector<int64_t> offsets;
  EXPECT_EQ(lay_out_blocks({{0, 1, 768}, {1, 2, 768}, {2, 3, 768}, {3, 4, 768}}, &offsets), 1536);
}

}  // namespace
}  // namespace trainer
