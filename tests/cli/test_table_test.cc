// The text of `trainer test`.
#include "cli/test_table.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "report/test_results.h"

namespace trainer {
namespace {

TEST(TestTable, ATestOfThreeClasses) {
  EXPECT_EQ(test_table(test::small_result(), {"cat", "dog", "fox"}, 50),
            R"(accuracy  0.65 ± 0.21  20 records
each[0]   0.5          20 records
each[1]   1            20 records
loss      0.75         20 records
top2      0.90 ± 0.13  18 items

accuracy, top2 by class
class  precision     recall         f1    support
cat       0.8889     0.8000     0.8421         10
dog       0.7143     0.5000     0.5882         10
fox       0.0000          -     0.0000          0

areas by class
class       area
cat       0.2500
dog       1.0000
fox            -

confusion matrix of accuracy, top2
a row for each label, a column for each predicted class
      0 1 2
0 cat 8 2 .
1 dog 1 5 4
2 fox . . .
)");
}

TEST(TestTable, TheTotalLossIsShownIfNoOutputIs) {
  TestResult result;
  result.loss = 1.5;
  result.outputs = {{"loss", 0.75, 2}};
  EXPECT_EQ(test_table(result, {}, 50), "loss        0.75\ntotal loss  1.5\n");
}

TEST(TestTable, ABlobWithManyElementsIsOneLine) {
  TestResult result;
  result.outputs.assign(1200, {"scores", 0.5});
  EXPECT_EQ(test_table(result, {}, 50), "scores  1,200 values; --json has them\n");
}

TEST(TestTable, ManyClassesAreCutToTheWorst) {
  TestResult result;
  result.confusions = {test::neighbors(1000)};
  const std::string text = test_table(result, {}, 3);
  EXPECT_NE(text.find("These are the 3 of 1,000 classes with the lowest f1; --json has all.\n"), std::string::npos);
  EXPECT_NE(text.find("largest confusions of accuracy\n999 taken for 0: 999\n998 taken for 999: 998\n"),
            std::string::npos);
  EXPECT_EQ(split(text, '\n').size(), 1 + 2 + 3 + 1 + 1 + 1 + 10 + 1u);
}

TEST(TestTable, FitsIntoATerminal) {
  for (const int64_t classes : {2, 9, 10, 15, 19, 20, 21, 100}) {
    TestResult result;
    result.confusions = {test::neighbors(classes)};
    const std::vector<std::string> names(static_cast<size_t>(classes), "a class with a long name");
    for (const std::string& line : split(test_table(result, names, 50), '\n')) EXPECT_LE(line.size(), 80u) << line;
  }
}

}  // namespace
}  // namespace trainer
