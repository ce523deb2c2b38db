// The sections of tests in the report page.
#include "report/html_tests.h"

#include <gtest/gtest.h>

#include "report/heat_map.h"
#include "report/test_results.h"

namespace trainer {
namespace {

size_t count_of(const std::string& what, const std::string& text) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(HtmlTests, SectionOfATest) {
  const std::string page = html_tests({test::small_result()}, {"<cat>", "dog", "fox"});
  EXPECT_HAS(page, "<h2>Last test: iteration 1,500, 20 records</h2>");
  EXPECT_HAS(page, "<td>accuracy</td><td>0.65 ± 0.21</td>");
  EXPECT_HAS(page, "<td>top2</td><td>0.90 ± 0.13</td><td class=\"soft\">18 items</td>");
  EXPECT_HAS(page, "<td>&lt;cat&gt;</td><td>0.8889</td><td>0.8000</td><td>0.8421</td><td>10</td>");
  EXPECT_HAS(page, "<title>dog taken for fox: 4 of 10</title>");
  EXPECT_HAS(page, "<td>dog</td><td class=\"text\">fox</td><td>4</td>");
  EXPECT_EQ(count_of("<svg", page), 1u);
  EXPECT_EQ(html_tests({}, {}), "");
}

TEST(HtmlTests, SectionsOfSeveralNets) {
  TestResult second = test::small_result();
  second.net = 1;
  const std::string page = html_tests({test::small_result(), second}, {});
  EXPECT_HAS(page, "<h2>Last test of net 1: iteration 1,500, 20 records</h2>");
  EXPECT_HAS(page, "<title>1 taken for 2: 4 of 10</title>");
}

TEST(HtmlTests, OfManyClassesThePageHasAPart) {
  TestResult result = test::small_result();
  result.confusions = {test::neighbors(1000)};
  const std::string page = html_tests({result}, {});
  EXPECT_HAS(page, "The 100 of 1,000 classes with the lowest f1; all are in results.json.");
  EXPECT_HAS(page, "A cell has 10 by 10 classes.");
  EXPECT_LT(page.size(), 100000u);
}

TEST(HeatMap, HasCountsNamesOrNone) {
  const std::string counts = heat_map(test::neighbors(20), {}), names = heat_map(test::neighbors(40), {});
  EXPECT_EQ(count_of("<title>", counts), 39u);  // the first class is never wrong
  EXPECT_EQ(count_of("class=\"low\"", counts) + count_of("class=\"high\"", counts), 39u);
  EXPECT_EQ(count_of("<title>", names), 79u);
  EXPECT_EQ(count_of("class=\"low\"", names), 0u);
  EXPECT_EQ(count_of("class=\"tick\"", names), 80u);
  const std::string picture = heat_map(test::neighbors(41), {});
  EXPECT_EQ(count_of("<title>", picture) + count_of("<text", picture), 0u);
  EXPECT_EQ(count_of("h1v1h-1z", picture), 81u);
}

}  // namespace
}  // namespace trainer
