// Draws a line chart as inline SVG.
#include "report/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"

namespace trainer {
namespace {

constexpr double kWidth = 760, kHeight = 300;
constexpr double kLeft = 62, kRight = 14, kTop = 12, kBottom = 30;
// A line with more points is reduced to the extremes of each section.
constexpr size_t kPointsShown = 800;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  bool logarithmic = false;

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
  // Maps the low end to 0 and the high end to 1.
  double position(double value) const {
    if (logarithmic) return (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low));
    return (value - low) / (high - low);
  }
};

// A step of 1, 2 or 5 times a power of ten that divides `span` into about `count` parts.
double round_step(double span, int count) {
  const double raw = span / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) return factor * power;
  }
  return 10 * power;
}

// Widens the range to round limits and returns the positions of its grid lines.
std::vector<double> ticks(Range& range) {
  std::vector<double> positions;
  if (range.logarithmic) {
    const int first = static_cast<int>(std::floor(std::log10(range.low) + 1e-9));
    const int last = static_cast<int>(std::ceil(std::log10(range.high) - 1e-9));
    range.low = std::pow(10.0, first);
    range.high = std::pow(10.0, last);
    const int step = 1 + (last - first) / 8;
    for (int exponent = first; exponent <= last; exponent += step) positions.push_back(std::pow(10.0, exponent));
    return positions;
  }
  if (range.low == range.high) {
    const double margin = range.low == 0 ? 1 : std::abs(range.low) * 0.1;
    range.low -= margin;
    range.high += margin;
  }
  const double step = round_step(range.high - range.low, 5);
  const double first = std::floor(range.low / step + 1e-9), last = std::ceil(range.high / step - 1e-9);
  for (double i = first; i <= last; ++i) positions.push_back(i * step + 0.0);  // no -0
  range.low = first * step;
  range.high = last * step;
  return positions;
}

std::vector<SeriesPoint> thinned(const std::vector<SeriesPoint>& points) {
  if (points.size() <= kPointsShown) return points;
  const size_t stretch = (points.size() * 2 + kPointsShown - 1) / kPointsShown;
  std::vector<SeriesPoint> kept;
  for (size_t begin = 0; begin < points.size(); begin += stretch) {
    const auto first = points.begin() + static_cast<ptrdiff_t>(begin);
    const auto last = points.begin() + static_cast<ptrdiff_t>(std::min(points.size(), begin + stretch));
    const auto ends =
        std::minmax_element(first, last, [](const SeriesPoint& a, const SeriesPoint& b) { return a.value < b.value; });
    const auto [low, high] = ends;
    kept.push_back(low < high ? *low : *high);
    if (low != high) kept.push_back(low < high ? *high : *low);
  }
  return kept;
}

class Frame {
 public:
  Frame(const Range& x, const Range& y) : x_(x), y_(y) {}
  double x(double iteration) const { return kLeft + x_.position(iteration) * (kWidth - kLeft - kRight); }
  double y(double value) const { return kHeight - kBottom - y_.position(value) * (kHeight - kTop - kBottom); }

 private:
  Range x_, y_;
};

std::string grid(const Frame& frame, const std::vector<double>& columns, const std::vector<double>& rows) {
  std::string out;
  for (double row : rows) {
    const double y = frame.y(row);
    out += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft, kWidth - kRight,
                       y, y);
    out += fmt::format("<text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{:.1f}\">{:.6g}</text>", kLeft - 8, y + 4,
                       row);
  }
  for (double column : columns) {
    const double x = frame.x(column);
    const char* anchor = x > kWidth - 60 ? "end" : "middle";
    out += fmt::format("<text class=\"tick\" text-anchor=\"{}\" x=\"{:.1f}\" y=\"{}\">{}</text>", anchor,
                       anchor[0] == 'e' ? kWidth - kRight : x, kHeight - 8, format_count(std::llround(column)));
  }
  return out;
}

std::string line_path(const Frame& frame, const ChartLine& line) {
  std::string points;
  for (const SeriesPoint& point : thinned(line.series->points))
    points += fmt::format("{}{:.1f},{:.1f}", points.empty() ? "" : " ", frame.x(static_cast<double>(point.iteration)),
                          frame.y(point.value));
  std::string out =
      fmt::format("<polyline class=\"curve\" style=\"stroke:var(--series-{})\" points=\"{}\"/>", line.color, points);
  if (!line.markers || line.series->points.size() > 200) return out;
  for (const SeriesPoint& point : line.series->points)
    out += fmt::format(
        "<circle r=\"3.5\" style=\"fill:var(--series-{})\" cx=\"{:.1f}\" cy=\"{:.1f}\"><title>{}: {:.6g} at iteration "
        "{}</title></circle>",
        line.color, frame.x(static_cast<double>(point.iteration)), frame.y(point.value), html_escaped(line.label),
        point.value, format_count(point.iteration));
  return out;
}

// The content of a chart; "" if no line has a point.
std::string drawing_of(const std::vector<ChartLine>& lines, bool may_be_logarithmic) {
  Range x, y;
  for (const ChartLine& line : lines) {
    for (const SeriesPoint& point : line.series->points) {
      x.include(static_cast<double>(point.iteration));
      y.include(point.value);
    }
  }
  if (y.empty()) return "";
  y.logarithmic = may_be_logarithmic && y.low > 0 && y.high / y.low > 100;
  const std::vector<double> rows = ticks(y);
  Range columns_range = x;
  std::vector<double> columns = ticks(columns_range);
  if (x.low == x.high) x = columns_range;
  columns.erase(std::remove_if(columns.begin(), columns.end(), [&](double c) { return c < x.low || c > x.high; }),
                columns.end());
  const Frame frame(x, y);
  std::string curves;
  for (const ChartLine& line : lines) {
    if (!line.series->points.empty()) curves += line_path(frame, line) + "\n";
  }
  return grid(frame, columns, rows) + "\n" + curves;
}

}  // namespace

std::string html_escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string svg_chart(const std::string& title, const std::vector<ChartLine>& lines) {
  const std::string drawing = drawing_of(lines, true);
  if (drawing.empty()) return "";
  std::string legend;
  for (const ChartLine& line : lines) {
    if (!line.series->points.empty())
      legend += fmt::format("<span><i style=\"background:var(--series-{})\"></i>{}</span>", line.color,
                            html_escaped(line.label));
  }
  return fmt::format(
      "<figure><figcaption><b>{0}</b>{1}</figcaption>\n<svg viewBox=\"0 0 {2} {3}\" role=\"img\" "
      "aria-label=\"{0}\">\n{4}</svg></figure>\n",
      html_escaped(title), legend, kWidth, kHeight, drawing);
}

std::string svg_file(const std::vector<ChartPanel>& panels) {
  constexpr double kTitle = 28;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\">\n"
      "<style>svg {{ --series-0: #2864c8; background: #ffffff; font-family: sans-serif }} .grid {{ stroke: #d9dce0 }} "
      ".tick {{ fill: #60666d; font-size: 12px }} .title {{ fill: #1c2024; font-size: 14px }} "
      ".curve {{ fill: none; stroke-width: 1.8; stroke-linejoin: round }}</style>\n",
      kWidth, static_cast<double>(panels.size()) * (kTitle + kHeight));
  double top = 0;
  for (const ChartPanel& panel : panels) {
    out +=
        fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>\n<g transform=\"translate(0 {})\">\n{}</g>\n",
                    kLeft, top + kTitle - 8, html_escaped(panel.title), top + kTitle, drawing_of(panel.lines, false));
    top += kTitle + kHeight;
  }
  return out + "</svg>\n";
}

}  // namespace trainer
