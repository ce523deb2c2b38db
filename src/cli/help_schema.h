// Help pages on prototxt files, in markdown, from the comments of the schema and the registry of layers.
#pragma once

#include <string>
#include <vector>

namespace trainer {

// All layer types, a row each.
std::string layer_table();
// One layer type: summary, bottoms and tops, the fields of its messages, an example. An unknown type is a
// config_error that names the nearest one.
std::string layer_page(const std::string& type);
// One message of the schema: "solver", "SolverParameter". "" if there is none.
std::string message_page(const std::string& name);
// Names that message_page() takes.
std::vector<std::string> message_names();
// The messages that have a field of this name, with the field, and the message that it holds. "" if there is none.
std::string field_page(const std::string& name);
// Names that field_page() takes.
std::vector<std::string> field_names();

}  // namespace trainer
