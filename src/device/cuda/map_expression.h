// Nodes of maps as expressions of CUDA C.
#pragma once

#include <string>
#include <vector>

#include "ops/map.h"

namespace trainer::cuda {

// A number: a literal if it is a common one, otherwise "a.k[i]" for the i-th of `constants`, to which it is added.
std::string number_text(float k, std::vector<float>* constants);

// The definitions of the functions that expressions call, besides common_power of preludes/functions.h.
std::string functions_text();

// A node that has arguments, as a call of its function: "v<i>" is the value of node i.
std::string expression_text(const MapNode& node, std::vector<float>* constants);

}  // namespace trainer::cuda
