// Text helpers with rules of their own.
#include "base/text.h"

#include <gtest/gtest.h>

namespace trainer {
namespace {

TEST(Text, SizesWithUnits) {
  EXPECT_EQ(parse_bytes("1500000"), 1500000);
  EXPECT_EQ(parse_bytes("800M"), int64_t{800} << 20);
  EXPECT_EQ(parse_bytes("1.5G"), int64_t{3} << 29);
  EXPECT_EQ(parse_bytes("2 GiB"), int64_t{2} << 30);
  EXPECT_EQ(parse_bytes("64kB"), 65536);
  for (const char* wrong : {"", "M", "0", "-1G", "1X", "1iB", "0x10M", "1.2.3M", "1GG", "nan", "1e30", "inf"}) EXPECT_EQ(parse_bytes(wrong), -1) << wrong;
}

}  // namespace
}  // namespace trainer
