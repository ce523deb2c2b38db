// Nodes of maps as expressions of CUDA C.
#pragma once

#include <string>
#include <vector>

#include "ops/map.h"

namespace trainer::cuda {

// A number: written out where it is a common one, else "a.k[i]" for the i-th of `constants`, to which it is
// added.
std::string number_text(float k, std::vector<float>* constants);

// A node that has arguments, of "v<i>" for its argument i: a call of one of preludes/functions.h.
std::string expression_text(const MapNode& node, std::vector<float>* constants);

}  // namespace trainer::cuda
