// Tables of classes. The numbers are those of scikit-learn's precision_recall_fscore_support.
#include "report/class_tables.h"

#include <gtest/gtest.h>

#include "report/test_results.h"

namespace trainer {
namespace {

using Texts = std::vector<std::string>;

Texts row_of(const ClassTable& table, size_t row) {
  Texts texts;
  for (size_t column = 0; column < table.columns.size(); ++column) texts.push_back(cell_text(table, row, column));
  return texts;
}

TEST(ClassTables, EqualMatricesAreShownOnce) {
  const std::vector<ConfusionMatrix> matrices = distinct_confusions(test::small_result());
  ASSERT_EQ(matrices.size(), 1u);
  EXPECT_EQ(matrices[0].metric, "accuracy, top2");
}

TEST(ClassTables, PrecisionRecallAndF1OfAMatrix) {
  const std::vector<ClassTable> tables = distinct_tables(test::small_result());
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0].columns, (Texts{"precision", "recall", "f1", "support"}));
  EXPECT_EQ(row_of(tables[0], 0), (Texts{"0.8889", "0.8000", "0.8421", "10"}));
  EXPECT_EQ(row_of(tables[0], 1), (Texts{"0.7143", "0.5000", "0.5882", "10"}));
  EXPECT_EQ(row_of(tables[0], 2), (Texts{"0.0000", "-", "0.0000", "0"}));
  EXPECT_EQ(row_of(tables[1], 2), (Texts{"-"}));
}

TEST(ClassTables, ATableOfAMetricMayBeThatOfTheMatrix) {
  TestResult result = test::small_result();
  result.tables = {distinct_tables(result).front()};
  result.tables.front().metric = "scores";
  const std::vector<ClassTable> tables = distinct_tables(result);
  ASSERT_EQ(tables.size(), 1u);
  EXPECT_EQ(tables[0].metric, "accuracy, top2, scores");
}

TEST(ClassTables, OfManyClassesTheLowestAreShown) {
  const ClassTable table = distinct_tables(test::small_result())[0];
  EXPECT_EQ(shown_rows(table, 3), (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(shown_rows(table, 2), (std::vector<size_t>{2, 1}));
  EXPECT_EQ(ranking_column(table), "f1");
  // A number without a meaning is the last.
  EXPECT_EQ(shown_rows(test::small_result().tables[0], 2), (std::vector<size_t>{0, 1}));
}

TEST(ClassTables, LargestConfusions) {
  const std::vector<Confusion> largest = largest_confusions(test::neighbors(50), 2);
  ASSERT_EQ(largest.size(), 2u);
  EXPECT_EQ(largest[0].label, 49);
  EXPECT_EQ(largest[0].predicted, 0);
  EXPECT_EQ(largest[0].count, 49);
  EXPECT_EQ(largest[1].label, 48);
}

TEST(ClassTables, ClassesWithoutANameHaveTheirNumber) {
  EXPECT_EQ(class_name({"cat", "a\nb"}, 1), "a\\x0ab");
  EXPECT_EQ(class_name({"cat"}, 1), "1");
}

}  // namespace
}  // namespace trainer
