// The cost of an op by its shapes: the roofline numbers of `summary`, `time` and traces.
#pragma once

#include "ops/graph.h"

namespace trainer {

struct OpCost {
  double multiply_adds = 0;  // of convolutions, matrix products and recurrences; 0 for other ops
  double operations = 0;     // floating-point operations; a multiply-add is two
  double bytes = 0;          // memory traffic: each operand read once, each result written once
};

OpCost cost_of(const Graph& graph, const Op& op);

}  // namespace trainer
