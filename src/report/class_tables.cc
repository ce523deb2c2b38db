// Derives tables of classes from the results of a test.
#include "report/class_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/text.h"

namespace trainer {
namespace {

constexpr const char* kCounts = "support";

double ratio(int64_t count, int64_t of) {
  return of > 0 ? static_cast<double>(count) / static_cast<double>(of) : std::numeric_limits<double>::quiet_NaN();
}

bool equal_number(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

bool equal(const ConfusionMatrix& a, const ConfusionMatrix& b) {
  return a.classes == b.classes && a.counts == b.counts;
}

bool equal(const ClassTable& a, const ClassTable& b) {
  return a.columns == b.columns && std::ranges::equal(a.cells, b.cells, equal_number);
}

template <typename T>
void add_distinct(T item, std::vector<T>* items) {
  const auto same = std::ranges::find_if(*items, [&](const T& other) { return equal(item, other); });
  if (same == items->end()) {
    items->push_back(std::move(item));
  } else {
    same->metric += ", " + item.metric;
  }
}

size_t ranking_index(const ClassTable& table) {
  const auto f1 = std::ranges::find(table.columns, "f1");
  return f1 == table.columns.end() ? 0 : static_cast<size_t>(f1 - table.columns.begin());
}

double cell(const ClassTable& table, size_t row, size_t column) {
  return table.cells[row * table.columns.size() + column];
}

}  // namespace

std::string class_name(const std::vector<std::string>& names, int64_t index) {
  const auto i = static_cast<size_t>(index);
  return i < names.size() ? printable(names[i]) : fmt::format("{}", index);
}

std::vector<ConfusionMatrix> distinct_confusions(const TestResult& result) {
  std::vector<ConfusionMatrix> matrices;
  for (const ConfusionMatrix& matrix : result.confusions) add_distinct(matrix, &matrices);
  return matrices;
}

ClassTable class_table(const ConfusionMatrix& matrix) {
  ClassTable table{matrix.metric, {"precision", "recall", "f1", kCounts}, {}};
  std::vector<int64_t> support(static_cast<size_t>(matrix.classes)), predicted(support);
  for (int64_t label = 0; label < matrix.classes; ++label) {
    for (int64_t other = 0; other < matrix.classes; ++other) {
      support[static_cast<size_t>(label)] += matrix.count(label, other);
      predicted[static_cast<size_t>(other)] += matrix.count(label, other);
    }
  }
  for (int64_t i = 0; i < matrix.classes; ++i) {
    const auto row = static_cast<size_t>(i);
    const int64_t right = matrix.count(i, i);
    table.cells.insert(table.cells.end(),
                       {ratio(right, predicted[row]), ratio(right, support[row]),
                        ratio(2 * right, support[row] + predicted[row]), static_cast<double>(support[row])});
  }
  return table;
}

std::vector<ClassTable> distinct_tables(const TestResult& result) {
  std::vector<ClassTable> tables;
  for (const ConfusionMatrix& matrix : distinct_confusions(result)) tables.push_back(class_table(matrix));
  for (const ClassTable& table : result.tables) add_distinct(table, &tables);
  return tables;
}

std::string cell_text(const ClassTable& table, size_t row, size_t column) {
  const double value = cell(table, row, column);
  if (std::isnan(value)) return "-";
  return table.columns[column] == kCounts ? format_count(std::llround(value)) : fmt::format("{:.4f}", value);
}

const std::string& ranking_column(const ClassTable& table) { return table.columns[ranking_index(table)]; }

std::vector<size_t> shown_rows(const ClassTable& table, size_t most) {
  std::vector<size_t> rows(table.cells.size() / table.columns.size());
  std::iota(rows.begin(), rows.end(), size_t{0});
  if (rows.size() <= most) return rows;
  const size_t column = ranking_index(table);
  std::ranges::stable_sort(rows, [&](size_t a, size_t b) {
    const double first = cell(table, a, column), second = cell(table, b, column);
    return std::isnan(second) ? !std::isnan(first) : first < second;
  });
  rows.resize(most);
  return rows;
}

std::vector<Confusion> largest_confusions(const ConfusionMatrix& matrix, size_t most) {
  std::vector<Confusion> confusions;
  for (int64_t label = 0; label < matrix.classes; ++label) {
    for (int64_t predicted = 0; predicted < matrix.classes; ++predicted) {
      const int64_t count = matrix.count(label, predicted);
      if (label != predicted && count > 0) confusions.push_back({label, predicted, count});
    }
  }
  std::ranges::stable_sort(confusions, std::greater<>(), &Confusion::count);
  confusions.resize(std::min(confusions.size(), most));
  return confusions;
}

}  // namespace trainer
