// Reverse-mode differentiation of a graph.
#pragma once

#include <map>
#include <vector>

#include "ops/graph.h"

namespace trainer {

// Adds the ops that compute the gradient of `loss` (rank 0) with respect to each value of `wanted`. Returns one
// gradient per value, of that value's shape; empty if the loss does not depend on the value. The gradients of all uses
// of a value are summed. Gradients that nothing needs are not computed. Values marked stop_gradient pass no gradient; a
// custom gradient replaces the derivative.
std::vector<Value> differentiate(Graph& graph, Value loss, const std::vector<Value>& wanted);

}  // namespace trainer
