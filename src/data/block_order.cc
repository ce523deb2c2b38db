// Groups of blocks for each epoch.
#include "data/block_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "data/sampler.h"

namespace trainer {

namespace {

// Separates the draws of rows from the draws of blocks, which share a key.
constexpr uint64_t kRowDraws = uint64_t{1} << 63;

}  // namespace

BlockOrder::BlockOrder(std::vector<Block> blocks, uint64_t group_rows, bool shuffle, uint64_t key)
    : blocks_(std::move(blocks)), group_rows_(group_rows), shuffle_(shuffle), key_(key) {
  for (const Block& block : blocks_) rows_ += block.rows;
  TRAINER_ASSERT(rows_ > 0);
}

BlockOrder::Epoch& BlockOrder::epoch(uint64_t number) {
  Epoch& result = epochs_[number % 2];
  if (result.drawn && (result.number == number || !shuffle_)) return result;
  result.drawn = true;
  result.number = number;
  const auto count = static_cast<uint32_t>(blocks_.size());
  if (shuffle_ && !one_group()) {
    draw_permutation(key_, number, count, result.blocks);
  } else {
    result.blocks.resize(count);
    std::iota(result.blocks.begin(), result.blocks.end(), 0u);
  }
  result.group_begins.clear();
  result.first_positions.clear();
  uint64_t position = 0, in_group = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t rows = blocks_[result.blocks[i]].rows;
    if (i == 0 || !shuffle_ || in_group + rows > group_rows_) {
      result.group_begins.push_back(i);
      result.first_positions.push_back(position);
      in_group = 0;
    }
    position += rows;
    in_group += rows;
  }
  return result;
}

void BlockOrder::find(uint64_t number, uint64_t position, Group& group) {
  TRAINER_ASSERT(position < rows_);
  const Epoch& order = epoch(number);
  const auto after = std::upper_bound(order.first_positions.begin(), order.first_positions.end(), position);
  const size_t index = static_cast<size_t>(after - order.first_positions.begin()) - 1;
  const bool last = index + 1 == order.group_begins.size();
  const auto begin = order.blocks.begin() + order.group_begins[index];
  const auto end = last ? order.blocks.end() : order.blocks.begin() + order.group_begins[index + 1];
  group.epoch = number;
  group.first = order.first_positions[index];
  group.rows = (last ? rows_ : order.first_positions[index + 1]) - group.first;
  group.blocks.assign(begin, end);
  group.order.clear();
  if (shuffle_) {
    // Groups of one epoch begin at different rows, which separates their draws.
    draw_permutation(key_ ^ kRowDraws ^ group.first, number, static_cast<uint32_t>(group.rows), group.order);
  }
}

}  // namespace trainer
