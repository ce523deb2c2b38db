// The names and the texts of a net's outputs.
#include "report/run_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "report/log.h"

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

std::string counted_text(const OutputValue& output, int64_t records) {
  if (output.counted && *output.counted != records) return fmt::format("{} items", format_count(*output.counted));
  return records > 0 ? fmt::format("{} records", format_count(records)) : "";
}

std::string interval_text(double interval) { return fmt::format("{:#.2g}", interval); }

std::string value_text(const OutputValue& output) {
  if (output.interval <= 0) return log_number(output.value);
  const int decimals = std::max(0, 1 - static_cast<int>(std::floor(std::log10(output.interval))));
  return fmt::format("{:.{}f} ± {}", output.value, decimals, interval_text(output.interval));
}

}  // namespace trainer
