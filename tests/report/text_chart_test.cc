// Charts of characters.
#include "report/text_chart.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace trainer {
namespace {

TEST(TextChart, AStepIsAVerticalLine) {
  Series series;
  for (int i = 0; i < 64; ++i) series.points.push_back({i, i < 32 ? 1.0 : 0.25});
  const std::vector<std::string> lines = split(text_chart(series), '\n');
  ASSERT_GE(lines.size(), 14u);
  EXPECT_EQ(lines[0], "         1 |" + std::string(32, '*'));
  for (size_t row = 1; row < 11; ++row) EXPECT_EQ(lines[row], "           |" + std::string(32, ' ') + "*");
  EXPECT_EQ(lines[11], "      0.25 |" + std::string(32, ' ') + std::string(32, '*'));
  EXPECT_EQ(lines[12], "           +" + std::string(64, '-'));
  EXPECT_EQ(lines[13], "            0" + std::string(61, ' ') + "63");
}

TEST(TextChart, OneValueAndNone) {
  Series series;
  EXPECT_EQ(text_chart(series), "");
  series.points = {{0, 0.1}};
  EXPECT_NE(text_chart(series).find("       0.1 |*\n"), std::string::npos);
}

}  // namespace
}  // namespace trainer
