// The results of a test for each class, as people read them: tables and confusions of a test, each once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/events.h"

namespace trainer {

// The name of a class, or its number if it has none.
std::string class_name(const std::vector<std::string>& names, int64_t index);

// The matrices of a test. Layers that read the same scores make equal ones: these become one with the names of all,
// "accuracy, top5".
std::vector<ConfusionMatrix> distinct_confusions(const TestResult& result);
// "precision", "recall", "f1" and "support" of each class.
ClassTable class_table(const ConfusionMatrix& matrix);
// Those of the matrices and the tables of metrics. Equal tables become one, as above.
std::vector<ClassTable> distinct_tables(const TestResult& result);

// The text of a cell: four digits, a count in the column "support", "-" for a number without a meaning.
std::string cell_text(const ClassTable& table, size_t row, size_t column);

// The rows to show, in order: all, or the `most` rows with the lowest values of the column that ranking_column names.
std::vector<size_t> shown_rows(const ClassTable& table, size_t most);
// "f1" if the table has it, otherwise the first column.
const std::string& ranking_column(const ClassTable& table);

// Records of one class that the net takes for another one.
struct Confusion {
  int64_t label = 0, predicted = 0, count = 0;
};
// At most `most`, the largest first.
std::vector<Confusion> largest_confusions(const ConfusionMatrix& matrix, size_t most);

}  // namespace trainer
