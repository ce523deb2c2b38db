// Formats the live line of a run.
#include "report/live_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/text.h"

namespace trainer {
namespace {

struct Part {
  std::string text;
  int importance;  // the part with the lowest value is omitted first
};

std::string speed_text(double per_second, const char* unit) {
  if (per_second >= 100) return fmt::format("{} {}/s", format_count(std::llround(per_second)), unit);
  return fmt::format("{:.3g} {}/s", per_second, unit);
}

std::string joined(const std::vector<Part>& parts) {
  std::string line;
  for (const Part& part : parts) line += (line.empty() ? "" : "  ") + part.text;
  return line;
}

}  // namespace

std::string duration_text(double seconds) {
  const int64_t total = std::llround(std::min(seconds, 1e12));
  if (total >= 48 * 3600) return fmt::format("{}d {}h", total / 86400, total % 86400 / 3600);
  if (total >= 3600) return fmt::format("{}:{:02}:{:02}", total / 3600, total % 3600 / 60, total % 60);
  return fmt::format("{}:{:02}", total / 60, total % 60);
}

std::string live_line_text(const LiveState& state, int width) {
  std::vector<Part> parts;
  const bool bounded = state.max_iteration > 0;
  parts.push_back({bounded ? fmt::format("{}/{}", format_count(state.iteration), format_count(state.max_iteration))
                           : format_count(state.iteration),
                   9});
  if (bounded)
    parts.push_back({fmt::format("{:.1f}%", 100.0 * static_cast<double>(state.iteration) /
                                                static_cast<double>(state.max_iteration)),
                     5});
  if (!state.activity.empty()) parts.push_back({state.activity, 8});
  if (state.epoch >= 0) parts.push_back({fmt::format("epoch {:.2f}", state.epoch), 2});
  if (state.images_per_second >= 0) {
    parts.push_back({speed_text(state.images_per_second, "images"), 4});
  } else if (state.iterations_per_second >= 0) {
    parts.push_back({speed_text(state.iterations_per_second, "iter"), 4});
  }
  if (state.learning_rate >= 0) parts.push_back({fmt::format("lr {:.4g}", state.learning_rate), 3});
  if (state.has_loss) parts.push_back({fmt::format("loss {:.4f}", state.loss), 7});
  if (state.data_wait_share >= 0) parts.push_back({fmt::format("data wait {:.1f}%", 100 * state.data_wait_share), 1});
  if (state.seconds_left >= 0) parts.push_back({"ETA " + duration_text(state.seconds_left), 6});

  std::string line = joined(parts);
  while (static_cast<int>(line.size()) > width && parts.size() > 1) {
    parts.erase(std::min_element(parts.begin(), parts.end(),
                                 [](const Part& a, const Part& b) { return a.importance < b.importance; }));
    line = joined(parts);
  }
  if (static_cast<int>(line.size()) > width) line.resize(static_cast<size_t>(std::max(0, width)));
  return line;
}

}  // namespace trainer
