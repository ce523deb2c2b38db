// The output of `trainer weights names`.
#pragma once

#include <string>
#include <vector>

#include "hub/manifest.h"

namespace trainer {

// The published weights with these names; all if there are none. An unknown name is a config_error.
std::vector<hub::Weights> select_weights(const std::vector<std::string>& names);

// A line for each.
std::string weight_names_table(const std::vector<hub::Weights>& list);
// All that the manifest says of each, with the preprocessing as fields of a data layer.
std::string weight_names_details(const std::vector<hub::Weights>& list);
std::string weight_names_json(const std::vector<hub::Weights>& list);

}  // namespace trainer
