// Text functions: byte counts, printable text, nearest names.
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
  for (const char* wrong : {"", "M", "0", "-1G", "1X", "1iB", "0x10M", "1.2.3M", "1GG", "nan", "1e30", "inf"})
    EXPECT_EQ(parse_bytes(wrong), -1) << wrong;
}

TEST(Text, PrintableEscapesControlCharacters) {
  EXPECT_EQ(printable("conv1/3x3 \xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80"),
            "conv1/3x3 \xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80");
  EXPECT_EQ(printable("\x1b[2J\x07\n\t\x7f"), "\\x1b[2J\\x07\\x0a\\x09\\x7f");
  EXPECT_EQ(printable("a\n\tb\r", true), "a\n\tb\\x0d");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b2J");  // U+009B starts an escape sequence, as ESC [ does
  // Not UTF-8: single bytes, truncated sequences, overlong forms, surrogates.
  EXPECT_EQ(printable("\x9b\xff"), "\\x9b\\xff");
  EXPECT_EQ(printable("\xe4\xb8"), "\\xe4\\xb8");
  EXPECT_EQ(printable("\xc0\xaf\xed\xa0\x80"), "\\xc0\\xaf\\xed\\xa0\\x80");
  EXPECT_TRUE(has_control_characters("a\x01"));
  EXPECT_TRUE(has_control_characters("\xc2\x85"));
  EXPECT_FALSE(has_control_characters("\xc2\xa0 \xff"));
}

TEST(Text, VeryLongNamesMatchNothing) {
  const std::string endless(1 << 20, 'x');
  EXPECT_EQ(nearest_name(endless, {endless + "y"}), "");
  EXPECT_EQ(nearest_name("name", {endless, "nam"}), "nam");
}

}  // namespace
}  // namespace trainer
