// The gradient rule of every kind of op, once, for all layers and devices.
#pragma once

#include <vector>

#include "ops/graph.h"

namespace trainer {

// Adds the ops that compute the gradients of an op's operands from the gradients of its results.
//
// A gradient may have extent 1 along axes on which all its elements are equal, or rank 0; rules that need full extents
// broadcast it. output_gradients: one per result, empty if the result has none. wanted: one per operand, whether its
// gradient is needed. Returns one gradient per operand, empty if the op passes none. Gradients that are not wanted may
// be empty; the caller ignores them.
std::vector<Value> gradients_of(Graph& graph, const Op& op, const std::vector<Value>& output_gradients,
                                const std::vector<bool>& wanted);

// Turns `gradient`, that of a value of shape `domain`, into the gradient of an operand of shape `operand` that was
// broadcast to `domain`: sums over the broadcast axes.
Value sum_to_operand(Value gradient, const Shape& domain, const Shape& operand);

}  // namespace trainer
