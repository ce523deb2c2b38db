// Hints for unknown layer types.
#pragma once

#include <string>

namespace trainer {

// The remedy: the replacement of a type of a Caffe fork, else the nearest name and the list of types.
std::string unknown_type_hint(const std::string& type);

}  // namespace trainer
