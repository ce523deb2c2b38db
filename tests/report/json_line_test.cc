// metrics.jsonl's lines, written and read.
#include "report/json_line.h"

#include <gtest/gtest.h>

#include <limits>

namespace trainer {
namespace {

TEST(JsonLine, Text) {
  EXPECT_EQ(JsonLine().text(), "{}\n");
  EXPECT_EQ(JsonLine().add("n", int64_t{-3}).add("x", 0.25).add("s", "a \"b\" \\ \n\x01").text(),
            "{\"n\":-3,\"x\":0.25,\"s\":\"a \\\"b\\\" \\\\ \\n\\u0001\"}\n");
}

TEST(JsonLine, WhatIsNoNumberIsNullWithAFlag) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(JsonLine().add("value", std::numeric_limits<double>::quiet_NaN()).text(),
            "{\"value\":null,\"not_finite\":\"nan\"}\n");
  EXPECT_EQ(JsonLine().add("value", infinity).text(), "{\"value\":null,\"not_finite\":\"inf\"}\n");
  EXPECT_EQ(JsonLine().add("value", -infinity).text(), "{\"value\":null,\"not_finite\":\"-inf\"}\n");
}

TEST(JsonLine, ReadsFlatObjects) {
  const auto fields =
      parse_json_line(" {\"a\" : 1.5e-3, \"b\":\"x\\u00e9\\n\\\"\", \"c\":null , \"d\":true}\r");
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->at("a"), "1.5e-3");
  EXPECT_EQ(fields->at("b"), "x\xc3\xa9\n\"");
  EXPECT_EQ(fields->at("c"), "null");
  EXPECT_EQ(fields->at("d"), "true");
}

TEST(JsonLine, RefusesEverythingElse) {
  const std::string whole = "{\"iteration\":100,\"name\":\"lo\\u0020ss\",\"value\":0.5}";
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(parse_json_line(whole.substr(0, length))) << length;
  EXPECT_TRUE(parse_json_line(whole));
  for (const char* text :
       {"[]", "{\"a\":{}}", "{\"a\":[1]}", "{\"a\":1,}", "{\"a\":1}x", "{a:1}", "{\"a\":\"\\x\"}"})
    EXPECT_FALSE(parse_json_line(text)) << text;
}

}  // namespace
}  // namespace trainer
