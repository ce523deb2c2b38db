// Reverse-mode differentiation of a graph.
#pragma once

#include <map>
#include <vector>

#include "ops/graph.h"

namespace trainer {

// Adds the ops that compute the gradient of `loss` (rank 0) with respect to each of `wanted`, and returns them, one a
// value and of its shape; empty where the loss does not depend on it. A value used twice sums its gradients; a
// gradient nobody needs is never made; values marked stop_gradient pass none; custom gradients replace the
// derivative.
std::vector<Value> differentiate(Graph& graph, Value loss, const std::vector<Value>& wanted);

}  // namespace trainer
