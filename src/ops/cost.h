// What an op costs by its shapes: the roofline numbers of `summary`, `time` and traces.
#pragma once

#include "ops/graph.h"

namespace trainer {

struct OpCost {
  double multiply_adds = 0;  // of convolutions and matrix products; 0 for all else
  double operations = 0;     // floating-point operations: two for a multiply-add
  double bytes = 0;          // operands read once and results written once
};

OpCost cost_of(const Graph& graph, const Op& op);

}  // namespace trainer
