// What to say about a layer type that is not here.
#pragma once

#include <string>

namespace trainer {

// The remedy: what to use in place of a type known from a fork of Caffe, else the nearest name and where to
// look.
std::string unknown_type_hint(const std::string& type);

}  // namespace trainer
