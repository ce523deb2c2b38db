// Help pages: markdown as plain text, and plain text as markdown.
#include "cli/markdown.h"

#include <gtest/gtest.h>

#include "cli/help_topics.h"

namespace trainer {
namespace {

TEST(Markdown, WrapsParagraphsAndUnderlinesHeadings) {
  EXPECT_EQ(render_markdown("# One **page**\n\nfour words\nare here\n## Next\n", 10),
            "One page\n========\n\nfour words\nare here\nNext\n----\n");
}

TEST(Markdown, KeepsCodeAndDropsComments) {
  EXPECT_EQ(render_markdown("<!-- help: a -->\nText.\n\n```sh\na  *b*  `c` \\\n\n  d\n```\n", 12),
            "Text.\n\n    a  *b*  `c` \\\n\n      d\n");
}

TEST(Markdown, RemovesMarkupButNotInCode) {
  EXPECT_EQ(render_markdown("**b** `a*b_c\\d` 2\\*3 [x] [GPUs](gpus.md#a) [c](../d.md) [w](https://w.org)", 200),
            "b a*b_c\\d 2*3 [x] GPUs (trainer help gpus) c w (https://w.org)\n");
}

TEST(Markdown, IndentsItems) {
  EXPECT_EQ(
      render_markdown("- `one` (int)\\\n  its long meaning\n  - `A`: nested\n- two\n\n  ```text\n  code\n  ```\n", 14),
      "- one (int)\n  its long\n  meaning\n  - A: nested\n- two\n\n      code\n");
}

TEST(Markdown, AlignsTables) {
  EXPECT_EQ(render_markdown("| a | what |\n| --- | --- |\n| `x\\|y` | 28 × 28 |\n|  | b |\n", 40),
            "a    what\n---  -------\nx|y  28 × 28\n     b\n");
}

TEST(Markdown, WrapsTheWidestColumnOfATable) {
  EXPECT_EQ(render_markdown("| a | what | n |\n| --- | --- | --- |\n| name | one two three | 1 |\n", 16),
            "a     what     n\n----  -------  -\nname  one two  1\n      three\n");
}

TEST(Markdown, EscapesPlainText) {
  EXPECT_EQ(escape_markdown("a*b <c> [0] `x*y`"), "a\\*b \\<c> \\[0] `x*y`");
  EXPECT_EQ(markdown_row({"a|b", "c"}), "| a\\|b | c |\n");
}

TEST(Markdown, KeepsLinesOfPlainText) {
  const std::string text = "one\ntwo:\n  x = 1\n   y\n\nthree";
  const std::string page = markdown_paragraphs(text);
  EXPECT_EQ(page, "one\\\ntwo:\n\n```text\nx = 1\n y\n```\n\nthree");
  EXPECT_EQ(render_markdown(page, 80), "one\ntwo:\n\n    x = 1\n     y\n\nthree\n");
}

TEST(Topics, AreFoundByTheirNames) {
  const Topic* topic = find_topic("fine-tuning");
  ASSERT_NE(topic, nullptr);
  for (const char* name : {"finetune", "Fine_Tuning", "transfer-learning"}) EXPECT_EQ(find_topic(name), topic) << name;
  EXPECT_EQ(find_topic("fine"), nullptr);
}

}  // namespace
}  // namespace trainer
