// A line chart as SVG: inline, colored by the page's CSS variables --series-0 ... --series-5, --axis and --soft, or as
// a file of its own.
#pragma once

#include <string>
#include <vector>

#include "report/run_history.h"

namespace trainer {

struct ChartLine {
  std::string label;
  const Series* series;
  int color;     // index of the CSS variable
  bool markers;  // a dot with a tooltip at each point, for tests, which have few points
};

// Returns "" if no line has a point. The value axis is logarithmic if all values are positive and span more than a
// factor of 100, otherwise linear.
std::string svg_chart(const std::string& title, const std::vector<ChartLine>& lines);

struct ChartPanel {
  std::string title;
  std::vector<ChartLine> lines;
};
// An SVG file with the panels below each other. Value axes are linear.
std::string svg_file(const std::vector<ChartPanel>& panels);

// Escapes & < > and quotes for HTML and SVG.
std::string html_escaped(const std::string& text);

}  // namespace trainer
