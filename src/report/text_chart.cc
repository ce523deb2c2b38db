// Draws a line chart with characters.
#include "report/text_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/text.h"

namespace trainer {
namespace {

constexpr int kColumns = 64, kRows = 12;

// The row of a value, counted from the lowest one.
int row_of(double value, double low, double high) {
  return high > low ? static_cast<int>(std::lround((value - low) / (high - low) * (kRows - 1))) : 0;
}

}  // namespace

std::string text_chart(const Series& series) {
  if (series.points.empty()) return "";
  const double low = series.lowest()->value, high = series.highest()->value;
  const int64_t first = series.points.front().iteration, last = series.points.back().iteration;
  std::vector<std::string> rows(kRows, std::string(kColumns, ' '));
  int previous = -1;
  for (const SeriesPoint& point : series.points) {
    const auto column =
        static_cast<size_t>((point.iteration - first) * (kColumns - 1) / std::max<int64_t>(last - first, 1));
    const int row = row_of(point.value, low, high);
    // A step is a vertical line.
    const int begin = previous < 0 ? row : previous + (row > previous) - (row < previous);
    const auto [from, to] = std::minmax({row, begin});
    for (int r = from; r <= to; ++r) rows[static_cast<size_t>(r)][column] = '*';
    previous = row;
  }
  std::string text;
  for (int row = kRows - 1; row >= 0; --row) {
    const bool end = row == 0 || row == kRows - 1;
    const std::string label = end ? fmt::format("{:.4g}", row == 0 ? low : high) : "";
    std::string line = rows[static_cast<size_t>(row)];
    line.erase(line.find_last_not_of(' ') + 1);
    text += fmt::format("{:>10} |{}\n", low < high || row == 0 ? label : "", line);
  }
  const std::string begin = format_count(first), end = format_count(last);
  text += fmt::format("{:>10} +{}\n", "", std::string(kColumns, '-'));
  text += fmt::format("{:>12}{}{:>{}}\n", "", begin, end, kColumns - static_cast<int>(begin.size()));
  return text;
}

}  // namespace trainer
