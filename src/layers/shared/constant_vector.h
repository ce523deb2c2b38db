// Vectors whose values are known when a net is lowered.
#pragma once

#include <vector>

#include "layers/layer.h"

namespace trainer {

// A rank-1 value with these elements.
Value constant_vector(Graph& graph, const std::vector<float>& values);

}  // namespace trainer
