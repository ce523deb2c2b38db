// Charts of extreme series have finite coordinates inside the frame.
#include "report/svg_chart.h"

#include <gtest/gtest.h>

#include <regex>

namespace trainer {
namespace {

// All coordinates of the curves.
std::vector<std::pair<double, double>> points_of(const std::string& svg) {
  std::vector<std::pair<double, double>> points;
  const std::regex pair("(-?[0-9.]+),(-?[0-9.]+)");
  for (size_t at = svg.find("points=\""); at != std::string::npos; at = svg.find("points=\"", at + 1)) {
    const std::string text = svg.substr(at + 8, svg.find('"', at + 8) - at - 8);
    for (std::sregex_iterator match(text.begin(), text.end(), pair), last; match != last; ++match)
      points.emplace_back(std::stod((*match)[1]), std::stod((*match)[2]));
  }
  return points;
}

TEST(SvgChart, CurvesStayInTheFrame) {
  const std::vector<std::vector<SeriesPoint>> cases = {{{0, 1}},
                                                       {{0, 0}, {10, 0}},
                                                       {{0, 87.3}, {10, 1e-4}, {20, 3}},
                                                       {{5, -1e30}, {6, 1e30}},
                                                       {{0, 1e-300}, {1, 1e300}}};
  for (const auto& points : cases) {
    const Series series{"train", "loss", true, points, 0};
    const std::string svg = svg_chart("Loss", {{"train", &series, 0, true}});
    const auto drawn = points_of(svg);
    EXPECT_EQ(drawn.size(), points.size()) << svg;
    for (const auto& point : drawn) {
      EXPECT_GE(point.first, 0);
      EXPECT_LE(point.first, 760);
      EXPECT_GE(point.second, 0);
      EXPECT_LE(point.second, 300);
    }
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
    EXPECT_LT(svg.size(), 60000u);
  }
}

TEST(SvgChart, LongSeriesAreThinnedToTheirExtremes) {
  Series series{"train", "loss", true, {}, 0};
  for (int i = 0; i < 100000; ++i) series.points.push_back({i, i == 54321 ? 50.0 : 1.0 + i % 7});
  const std::string svg = svg_chart("Loss", {{"train", &series, 0, false}});
  const auto drawn = points_of(svg);
  EXPECT_LE(drawn.size(), 802u);
  double top = 300;
  for (const auto& point : drawn) top = std::min(top, point.second);
  EXPECT_LT(top, 20);  // the single high point is kept
}

TEST(SvgChart, NothingToDraw) {
  const Series empty{"train", "loss", true, {}, 0};
  EXPECT_EQ(svg_chart("Loss", {{"train", &empty, 0, false}}), "");
}

TEST(SvgChart, AFileHasItsPanelsBelowEachOther) {
  const Series series{"", "rate", false, {{0, 1}, {10, 0.001}}, 0};
  const std::string svg = svg_file({{"A < B", {{"rate", &series, 0, false}}}, {"C", {{"rate", &series, 0, false}}}});
  EXPECT_EQ(svg.rfind("<svg xmlns=", 0), 0u);
  EXPECT_NE(svg.find("A &lt; B"), std::string::npos);
  const auto drawn = points_of(svg);
  ASSERT_EQ(drawn.size(), 4u);
  EXPECT_GT(drawn[1].second, drawn[0].second);
}

}  // namespace
}  // namespace trainer
