// Permutations and block orders.
#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "data/block_order.h"
#include "data/sampler.h"

namespace trainer {
namespace {

TEST(DrawPermutation, IsUniformOverSmallPermutations) {
  std::map<std::vector<uint32_t>, int> counts;
  std::vector<uint32_t> permutation;
  constexpr int kDraws = 24000;
  for (uint64_t stream = 0; stream < kDraws; ++stream) {
    draw_permutation(99, stream, 4, permutation);
    ++counts[permutation];
  }
  ASSERT_EQ(counts.size(), 24u);
  double chi_square = 0.0;
  for (const auto& entry : counts) chi_square += (entry.second - 1000.0) * (entry.second - 1000.0) / 1000.0;
  EXPECT_LT(chi_square, 58.0);  // 23 degrees of freedom: exceeded once in 10,000
}

// Computed by a separate Python program from the published Philox4x32-10 and the rule in the header.
TEST(DrawPermutation, KnownValues) {
  std::vector<uint32_t> permutation;
  draw_permutation(0x123456789ABCDEFu, 3, 10, permutation);
  EXPECT_EQ(permutation, (std::vector<uint32_t>{6, 7, 9, 2, 4, 8, 5, 3, 0, 1}));
}

TEST(Sampler, EpochsArePermutationsAndCanBeEnteredAnywhere) {
  Sampler sampler(100, true, 1), other(100, true, 1);
  std::vector<uint64_t> all;
  for (uint64_t offset = 0; offset < 300; ++offset) all.push_back(sampler.index(offset));
  for (uint64_t offset : {299u, 5u, 100u, 99u}) EXPECT_EQ(other.index(offset), all[offset]);
  for (size_t epoch = 0; epoch < 3; ++epoch) {
    EXPECT_EQ(std::set<uint64_t>(all.begin() + static_cast<long>(epoch) * 100,
                                 all.begin() + static_cast<long>(epoch + 1) * 100)
                  .size(),
              100u);
  }
  Sampler sequential(3, false, 1);
  EXPECT_EQ(sequential.index(7), 1u);
}

std::vector<Block> blocks_of(const std::vector<uint32_t>& rows) {
  std::vector<Block> blocks;
  for (uint32_t count : rows) blocks.push_back({0, count, 0});
  return blocks;
}

TEST(BlockOrder, InOrderEachBlockIsAGroup) {
  BlockOrder order(blocks_of({4, 1, 3}), 100, false, 1);
  Group group;
  const uint64_t firsts[] = {0, 0, 0, 0, 4, 5, 5, 5};
  for (uint64_t epoch : {0u, 3u}) {
    for (uint64_t position = 0; position < 8; ++position) {
      order.find(epoch, position, group);
      EXPECT_EQ(group.first, firsts[position]);
      EXPECT_EQ(group.stored_row(position), position - group.first);
    }
  }
}

TEST(BlockOrder, ShuffledGroupsCoverEveryRowOnceWithinTheirMemory) {
  const std::vector<uint32_t> sizes = {4, 4, 4, 2, 4, 4, 1};
  BlockOrder order(blocks_of(sizes), 9, true, 1);
  ASSERT_EQ(order.rows(), 23u);
  for (uint64_t epoch = 0; epoch < 4; ++epoch) {
    std::set<std::pair<uint32_t, uint64_t>> rows;
    Group group;
    for (uint64_t position = 0; position < 23; ++position) {
      order.find(epoch, position, group);
      ASSERT_LE(group.rows, 9u);
      uint64_t row = group.stored_row(position);
      for (uint32_t block : group.blocks) {
        if (row < sizes[block]) {
          rows.insert({block, row});
          break;
        }
        row -= sizes[block];
      }
    }
    EXPECT_EQ(rows.size(), 23u);
  }
}

}  // namespace
}  // namespace trainer
