// Finds the replacement of an unknown layer type.
#include "lowering/unknown_type.h"

#include <fmt/format.h>

#include <vector>

#include "base/text.h"
#include "config/fork_names.h"
#include "layers/layer.h"

namespace trainer {
std::string unknown_type_hint(const std::string& type) {
  if (type.empty()) return "give the layer a type, for example type: \"Convolution\"; `trainer help layers` lists them";
  const std::string fork = fork_type_hint(type);
  if (!fork.empty()) return fork;
  std::vector<std::string> known;
  for (const LayerType* candidate : layer_types()) known.push_back(candidate->type);
  return suggest(type, known, "did you mean \"{}\"? ") + "`trainer help layers` lists the types";
}

}  // namespace trainer
