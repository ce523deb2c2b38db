// Durations with a unit or as a clock time; everything else is refused.
#include "base/duration.h"

#include <gtest/gtest.h>

namespace trainer {
namespace {

TEST(Duration, UnitsAndClockTimes) {
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("45m"), 2700);
  EXPECT_EQ(parse_duration("12h"), 43200);
  EXPECT_EQ(parse_duration("2d"), 172800);
  EXPECT_EQ(parse_duration("1:30:00"), 5400);
  EXPECT_EQ(parse_duration("0:00:07"), 7);
  EXPECT_EQ(parse_duration("100:00:01"), 360001);
  EXPECT_EQ(parse_duration("1-02:03:04"), 93784);
}

TEST(Duration, OtherTextsAreRefused) {
  for (const char* text : {"", "30", "30:00", "1:60:00", "1:00:60", "1:0:00", "1-24:00:00", "1-2:00:00", "-5m", "1.5h",
                           "5 m", "5w", "m", "0s", "0:00:00", "99999999999d", "1:00:00:00", "1d2h", "5M"})
    EXPECT_EQ(parse_duration(text), -1) << text;
}

}  // namespace
}  // namespace trainer
