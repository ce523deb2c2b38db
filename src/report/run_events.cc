// Builds the names of series from a net's outputs.
#include "report/run_events.h"

#include <fmt/format.h>

#include <map>

namespace trainer {

std::vector<std::string> series_names(const std::vector<OutputValue>& outputs) {
  std::map<std::string, int> total, seen;
  for (const OutputValue& output : outputs) ++total[output.name];
  std::vector<std::string> names;
  for (const OutputValue& output : outputs) {
    const bool many = total[output.name] > 1;
    names.push_back(many ? fmt::format("{}[{}]", output.name, seen[output.name]++) : output.name);
  }
  return names;
}

}  // namespace trainer
