// The gradient rule of every kind of op, once, for all layers and devices.
#pragma once

#include <vector>

#include "ops/graph.h"

namespace trainer {

// Adds the ops that compute the gradients of an op's operands from those of its results.
//
// A gradient may have extent 1 (or rank 0) where it is the same for all elements of its value; rules that need all
// of them say so themselves. output_gradients: one a result, empty where that result has none. wanted: the operands
// whose gradient is asked for. Returns one a operand, empty where not wanted or where the op passes none.
std::vector<Value> gradients_of(Graph& graph, const Op& op, const std::vector<Value>& output_gradients,
                                const std::vector<bool>& wanted);

// `gradient` of a value of shape `domain` made the gradient of an operand of shape `operand` that was broadcast to it.
Value sum_to_operand(Value gradient, const Shape& domain, const Shape& operand);

}  // namespace trainer
