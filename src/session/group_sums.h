// Sums over the processes that train together, in the passes of a net.
#pragma once

#include <vector>

#include "ops/rank_sums.h"
#include "ranks/group.h"

namespace trainer {

class GroupSums : public RankSums {
 public:
  explicit GroupSums(Group& group) : group_(group) {}

  int ranks() const override { return group_.size(); }
  // Throws RankFailed if a process is lost.
  void sum(int number, std::span<float> values) override;
  // Whether sum() returns the sums of the last pass instead, for a pass that this process repeats alone.
  void repeat(bool repeats) { repeats_ = repeats; }
  // Spent so far in sums over the processes, which wait for the slowest one.
  double seconds() const { return seconds_; }

 private:
  Group& group_;
  std::vector<std::vector<float>> last_;  // sums, by number
  bool repeats_ = false;
  double seconds_ = 0;
};

}  // namespace trainer
