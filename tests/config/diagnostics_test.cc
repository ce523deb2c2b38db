// The exact text of a list of diagnostics.
#include "config/diagnostics.h"

#include <gtest/gtest.h>

#include "config/source_text.h"

namespace trainer {
namespace {

TEST(Diagnostics, ShowPositionSubjectMessageHintAndUnderline) {
  Diagnostics list;
  list.error({"net.prototxt", 12, 5, "    kernal_size: 5", 11}, "layer \"conv1\" (Convolution)",
             "unknown field \"kernal_size\"", "did you mean \"kernel_size\"?");
  EXPECT_EQ(list.render(),
            "net.prototxt:12:5: error: layer \"conv1\" (Convolution): unknown field \"kernal_size\"; did you mean "
            "\"kernel_size\"?\n"
            "    kernal_size: 5\n"
            "    ^~~~~~~~~~~\n");
}

TEST(Diagnostics, AreSortedByPositionAndCountedOnce) {
  Diagnostics list;
  list.error({"b", 1, 1, "", 1}, "", "third");
  list.error({"a", 10, 1, "", 1}, "", "second");
  list.warning({"a", 9, 7, "", 1}, "", "first", "do this");
  list.error({"a", 10, 1, "", 1}, "", "second");
  list.error({}, "", "without a place");
  EXPECT_EQ(list.render(),
            "trainer: error: without a place\n"
            "a:9:7: warning: first; do this\n"
            "a:10:1: error: second\n"
            "b:1:1: error: third\n");
  EXPECT_EQ(list.error_count(), 3);
  try {
    list.throw_if_errors();
    FAIL();
  } catch (const DiagnosticsError& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    EXPECT_EQ(error.what(), list.render() + "3 errors");
  }
}

TEST(Diagnostics, AreADataErrorIfEveryErrorIsOne) {
  Diagnostics list;
  list.error({}, "", "no such file", "", ExitCode::kData);
  list.warning({}, "", "careful");
  for (ExitCode expected : {ExitCode::kData, ExitCode::kConfiguration}) {
    try {
      list.throw_if_errors();
      FAIL();
    } catch (const DiagnosticsError& error) {
      EXPECT_EQ(error.code(), expected);
    }
    list.error({}, "", "unknown field");
  }
}

TEST(Diagnostics, OnlyWarningsDoNotThrow) {
  Diagnostics list;
  list.warning({"a", 1, 1, "", 1}, "", "careful");
  EXPECT_NO_THROW(list.throw_if_errors());
  EXPECT_EQ(Diagnostics().render(), "");
}

TEST(Diagnostics, ShowAtMostFifty) {
  Diagnostics list;
  for (int i = 1; i <= 60; ++i) list.error({"a", i, 1, "", 1}, "", "wrong");
  const std::string text = list.render();
  EXPECT_EQ(text.substr(text.find("a:50")), "a:50:1: error: wrong\n... and 10 more\n");
}

TEST(Diagnostics, HaveColorsOnRequest) {
  Diagnostics list;
  list.error({"a", 1, 1, "", 1}, "", "wrong");
  EXPECT_EQ(list.render(true), "\x1b[1ma:1:1: \x1b[1;31merror\x1b[0m: wrong\n");
}

std::string shown(const std::string& line, int byte_column, int length) {
  Diagnostics list;
  SourceText text("f", line);
  list.error(text.place(0, byte_column, length), "", "here");
  return list.render();
}

TEST(Diagnostics, CountCharactersNotBytesNorTabStops) {
  EXPECT_EQ(shown("\t\tpad: 1", 16, 3), "f:1:3: error: here\n    pad: 1\n    ^~~\n");
  // e with an acute accent: two bytes.
  EXPECT_EQ(shown("name: \"\xc3\xa9\" pad: 1", 11, 3),
            "f:1:11: error: here\n    name: \"\xc3\xa9\" pad: 1\n              ^~~\n");
  EXPECT_EQ(shown("a\tb", 8, 1), "f:1:3: error: here\n    a b\n      ^\n");
  EXPECT_EQ(shown("pad: 1\r", 5, 1), "f:1:6: error: here\n    pad: 1\n         ^\n");
}

TEST(Diagnostics, ShowThePartOfALongLineAroundThePosition) {
  const std::string line = std::string(5000, 'a') + " pad " + std::string(5000, 'b');
  EXPECT_EQ(shown(line, 5001, 3), "f:1:5002: error: here\n    ..." + std::string(32, 'a') + " pad " +
                                      std::string(63, 'b') + "...\n    " + std::string(36, ' ') + "^~~\n");
}

TEST(Diagnostics, UnderlineAfterTheEndOfTheLine) {
  EXPECT_EQ(shown("pad:", 4, 1), "f:1:5: error: here\n    pad:\n        ^\n");
}

TEST(Diagnostics, AreShortenedIfTheyQuoteLongText) {
  Diagnostics diagnostics;
  diagnostics.error({}, "", "unknown field " + std::string(1 << 20, 'x'), std::string(1 << 20, 'y'));
  EXPECT_LT(diagnostics.render().size(), 5000u);
}

}  // namespace
}  // namespace trainer
