// The order in which to visit rows that are cheap to read in runs and expensive to read one by one.
//
// Rows form blocks (runs of neighbouring rows). Without shuffling, each block is a group. With shuffling, each epoch
// draws an order of the blocks, joins as many blocks as fit the memory into a group, and draws an order of the rows of
// each group. Every row occurs once an epoch, and rows that are far apart in the file meet in a group. If all blocks
// fit one group, the order is a uniform random permutation of all rows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace trainer {

struct Block {
  uint32_t file = 0;
  uint32_t rows = 0;
  int64_t first_row = 0;  // in the file
};

// Blocks that are in memory together.
struct Group {
  uint64_t epoch = 0;
  uint64_t first = 0;            // position in the epoch of its first row
  uint64_t rows = 0;             // 0: not set
  std::vector<uint32_t> blocks;  // in the order in which their rows are stored
  std::vector<uint32_t> order;   // stored row of each position; empty: as stored

  bool holds(uint64_t of_epoch, uint64_t position) const {
    return rows > 0 && epoch == of_epoch && position >= first && position < first + rows;
  }
  uint64_t stored_row(uint64_t position) const {
    const uint64_t i = position - first;
    return order.empty() ? i : order[static_cast<size_t>(i)];
  }
};

class BlockOrder {
 public:
  // `group_rows`: the maximum number of rows in a group (a group has at least one block).
  BlockOrder(std::vector<Block> blocks, uint64_t group_rows, bool shuffle, uint64_t key);

  uint64_t rows() const { return rows_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  // All rows form one group, which has the same blocks in every epoch.
  bool one_group() const { return shuffle_ && rows_ <= group_rows_; }
  // Sets `group` to the group that holds `position` of `epoch`.
  void find(uint64_t epoch, uint64_t position, Group& group);

 private:
  // The block order of one epoch and the start of each group in it.
  struct Epoch {
    bool drawn = false;
    uint64_t number = 0;
    std::vector<uint32_t> blocks;
    std::vector<uint32_t> group_begins;     // index into blocks
    std::vector<uint64_t> first_positions;  // of each group
  };
  Epoch& epoch(uint64_t number);

  std::vector<Block> blocks_;
  uint64_t group_rows_;
  bool shuffle_;
  uint64_t key_;
  uint64_t rows_ = 0;
  std::array<Epoch, 2> epochs_;  // the current epoch and the next one
};

}  // namespace trainer
