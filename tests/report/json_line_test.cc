// Writes and reads lines of metrics.jsonl.
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

TEST(JsonLine, NonFiniteValuesAreNullWithAFlag) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(JsonLine().add("value", std::numeric_limits<double>::quiet_NaN()).text(),
            "{\"value\":null,\"not_finite\":\"nan\"}\n");
  EXPECT_EQ(JsonLine().add("value", infinity).text(), "{\"value\":null,\"not_finite\":\"inf\"}\n");
  EXPECT_EQ(JsonLine().add("value", -infinity).text(), "{\"value\":null,\"not_finite\":\"-inf\"}\n");
}

TEST(JsonLine, ReadsFlatObjects) {
  const auto fields = parse_json_line(" {\"a\" : 1.5e-3, \"b\":\"x\\u00e9\\n\\\"\", \"c\":null , \"d\":true}\r");
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->at("a"), "1.5e-3");
  EXPECT_EQ(fields->at("b"), "x\xc3\xa9\n\"");
  EXPECT_EQ(fields->at("c"), "null");
  EXPECT_EQ(fields->at("d"), "true");
}

TEST(JsonLine, ReplacesInvalidUtf8) {
  const std::string bad = "\xEF\xBF\xBD";
  const auto written = [](const std::string& text) { return JsonLine().add("s", text).text(); };
  for (const std::string good : {"\xC3\xA9", "\xE2\x82\xAC", "\xED\x9F\xBF", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"})
    EXPECT_EQ(written(good), "{\"s\":\"" + good + "\"}\n");
  EXPECT_EQ(written("a\xFFz"), "{\"s\":\"a" + bad + "z\"}\n");
  EXPECT_EQ(written("\xE9t\xE9"), "{\"s\":\"" + bad + "t" + bad + "\"}\n");  // Latin-1
  // Truncated, overlong, a surrogate, beyond the last character.
  for (const std::string text : {"\xC3", "\xE2\x82", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80"}) {
    std::string wanted;
    for (size_t i = 0; i < text.size(); ++i) wanted += bad;
    EXPECT_EQ(written(text), "{\"s\":\"" + wanted + "\"}\n");
  }
  EXPECT_EQ(JsonLine().add("\xFF", int64_t{1}).text(), "{\"" + bad + "\":1}\n");
}

TEST(JsonLine, JoinsSurrogates) {
  const auto read = [](const std::string& text) { return parse_json_line("{\"s\":\"" + text + "\"}").value()["s"]; };
  EXPECT_EQ(read("a\\uD83D\\uDE00z"), "a\xF0\x9F\x98\x80z");
  EXPECT_EQ(read("\\uD83Dz"), "\xEF\xBF\xBDz");
  EXPECT_EQ(read("\\uDE00"), "\xEF\xBF\xBD");
  EXPECT_EQ(read("\\uD83D\\u0041"),
            "\xEF\xBF\xBD"
            "A");
  EXPECT_FALSE(parse_json_line("{\"s\":\"\\uD83D\\u00\"}"));
}

TEST(JsonLine, RefusesEverythingElse) {
  const std::string whole = "{\"iteration\":100,\"name\":\"lo\\u0020ss\",\"value\":0.5}";
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(parse_json_line(whole.substr(0, length))) << length;
  EXPECT_TRUE(parse_json_line(whole));
  for (const char* text : {"[]", "{\"a\":{}}", "{\"a\":[1]}", "{\"a\":1,}", "{\"a\":1}x", "{a:1}", "{\"a\":\"\\x\"}"})
    EXPECT_FALSE(parse_json_line(text)) << text;
}

}  // namespace
}  // namespace trainer
