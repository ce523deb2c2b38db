// Help on the content of prototxt files, from the comments of the schema and the registry of layers.
#pragma once

#include <string>

namespace trainer {

// All layer types, one line each.
std::string layer_list_text(int width);
// One layer type: summary, bottoms and tops, the fields of its messages, an example. An unknown type is a config_error
// that names the nearest one.
std::string layer_text(const std::string& type, int width);
// The fields of a message of the schema: "SolverParameter", or "solver", "net", "convolution". An unknown name is a
// config_error that names the nearest one.
std::string message_text(const std::string& name, int width);

}  // namespace trainer
