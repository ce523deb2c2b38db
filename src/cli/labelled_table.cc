// Reads tables with labels.
#include "cli/labelled_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "formats/csv.h"

namespace trainer {
namespace {

std::string order(const LabelledTable& table) { return fmt::format("{}", fmt::join(table.header, ", ")); }

}  // namespace

std::vector<float> LabelledTable::labels() const {
  std::vector<float> all;
  for (const std::vector<float>& row : rows) all.push_back(row[label]);
  return all;
}

std::vector<float> LabelledTable::values() const {
  std::vector<float> all;
  for (const std::vector<float>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      if (i != label) all.push_back(row[i]);
    }
  }
  return all;
}

LabelledTable read_labelled_table(const std::string& file) {
  CsvFile csv(file, lower(std::filesystem::path(file).extension().string()) == ".tsv" ? '\t' : ',');
  LabelledTable table;
  table.file = file;
  table.columns = static_cast<size_t>(csv.columns());
  if (table.columns < 2)
    throw data_error("{} has {} columns: it needs values and a label in each row", file, table.columns);
  table.label = table.columns - 1;
  for (size_t i = 0; i < csv.header().size(); ++i) {
    table.header.push_back(trim(csv.header()[i]));
    const std::string name = lower(table.header[i]);
    if (name == "label" || name == "class" || name == "target") table.label = i;
  }
  for (std::vector<float> row; csv.next_row(row);) {
    table.rows.push_back(row);
    table.lines.push_back(csv.line());
  }
  if (table.rows.size() < 2) throw data_error("{} has {} rows: at least two are needed", file, table.rows.size());
  return table;
}

void match_columns(const LabelledTable& train, LabelledTable* test) {
  if (test->columns != train.columns)
    throw data_error("{} has {} columns, but {} has {}", test->file, test->columns, train.file, train.columns);
  if (test->header.empty() != train.header.empty())
    throw data_error("{} has {} header line, but {} has {}: give both a line with the same names, or none", test->file,
                     test->header.empty() ? "no" : "a", train.file, train.header.empty() ? "none" : "one");
  test->label = train.label;
  if (test->header == train.header) return;
  const std::set<std::string> names(train.header.begin(), train.header.end());
  if (names.size() != train.columns || names != std::set<std::string>(test->header.begin(), test->header.end()))
    throw data_error("the columns of {} are {}, but those of {} are {}: give both the same names", test->file,
                     order(*test), train.file, order(train));
  std::vector<size_t> from;
  for (const std::string& name : train.header)
    from.push_back(static_cast<size_t>(std::ranges::find(test->header, name) - test->header.begin()));
  for (std::vector<float>& row : test->rows) {
    std::vector<float> ordered;
    for (const size_t column : from) ordered.push_back(row[column]);
    row = std::move(ordered);
  }
  test->header = train.header;
}

}  // namespace trainer
