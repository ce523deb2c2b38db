// Sums over the devices that train together, the ranks, for layers whose results depend on the batches of all of them.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ops/graph.h"

namespace trainer {

class RankSums {
 public:
  virtual ~RankSums() = default;
  virtual int ranks() const = 0;
  // Replaces the numbers by their sums over all ranks: the same bits on each. All ranks make the same calls in the same
  // order. `number` counts the sums of a pass.
  virtual void sum(int number, std::span<float> values) = 0;
};

// The sums over all ranks of the elements of each value; the gradient is the sum over all ranks of the gradient. A pass
// runs the ops of these sums in the order in which they were added to the graph.
std::vector<Value> sum_over_ranks(const std::shared_ptr<RankSums>& ranks, const std::vector<Value>& values);

}  // namespace trainer
