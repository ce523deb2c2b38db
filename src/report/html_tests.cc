// Builds the sections of tests.
#include "report/html_tests.h"

#include <fmt/format.h>

#include "base/text.h"
#include "report/class_tables.h"
#include "report/heat_map.h"
#include "report/log.h"
#include "report/run_events.h"
#include "report/svg_chart.h"

namespace trainer {
namespace {

constexpr size_t kClassesShown = 100, kConfusionsShown = 10, kOutputsShown = 30;

using Names = std::vector<std::string>;

std::string heading(const TestResult& test) {
  const std::string net = test.net > 0 ? fmt::format(" of net {}", test.net) : "";
  const std::string records = test.images > 0 ? fmt::format(", {} records", format_count(test.images)) : "";
  return fmt::format("<h2>Last test{}: iteration {}{}</h2>\n", net, format_count(test.iteration), records);
}

// The number of items of an output that does not count the records of the heading.
std::string other_count(const OutputValue& output, int64_t records) {
  if (!output.counted || *output.counted == records) return "";
  return fmt::format("<td class=\"soft\">{}</td>", counted_text(output, records));
}

std::string outputs(const TestResult& test) {
  const Names names = series_names(test.outputs);
  std::string out = "<div class=\"wide\"><table>\n";
  for (size_t i = 0; i < names.size() && i < kOutputsShown; ++i)
    out += fmt::format("<tr><td>{}</td><td>{}</td>{}</tr>\n", html_escaped(names[i]), value_text(test.outputs[i]),
                       other_count(test.outputs[i], test.images));
  out += "</table></div>\n";
  if (names.size() > kOutputsShown)
    out += fmt::format("<p class=\"soft\">The first {} of {} values; all are in results.json.</p>\n", kOutputsShown,
                       format_count(static_cast<int64_t>(names.size())));
  return out;
}

std::string table(const ClassTable& table, const Names& class_names) {
  const std::vector<size_t> rows = shown_rows(table, kClassesShown);
  const size_t classes = table.cells.size() / table.columns.size();
  std::string out =
      fmt::format("<h3>{} by class</h3>\n<div class=\"wide\"><table><tr><th>class</th>", html_escaped(table.metric));
  for (const std::string& column : table.columns) out += fmt::format("<th>{}</th>", html_escaped(column));
  out += "</tr>\n";
  for (const size_t row : rows) {
    out += fmt::format("<tr><td>{}</td>", html_escaped(class_name(class_names, static_cast<int64_t>(row))));
    for (size_t column = 0; column < table.columns.size(); ++column)
      out += fmt::format("<td>{}</td>", cell_text(table, row, column));
    out += "</tr>\n";
  }
  out += "</table></div>\n";
  if (rows.size() < classes)
    out += fmt::format("<p class=\"soft\">The {} of {} classes with the lowest {}; all are in results.json.</p>\n",
                       rows.size(), format_count(static_cast<int64_t>(classes)), html_escaped(ranking_column(table)));
  return out;
}

std::string confusions(const ConfusionMatrix& matrix, const Names& class_names) {
  const std::vector<Confusion> largest = largest_confusions(matrix, kConfusionsShown);
  if (matrix.classes < 3 || largest.empty()) return "";
  std::string out =
      "<h3>Largest confusions</h3>\n<div class=\"wide\"><table><tr><th>label</th><th class=\"text\">taken "
      "for</th><th>records</th></tr>\n";
  for (const Confusion& confusion : largest)
    out += fmt::format("<tr><td>{}</td><td class=\"text\">{}</td><td>{}</td></tr>\n",
                       html_escaped(class_name(class_names, confusion.label)),
                       html_escaped(class_name(class_names, confusion.predicted)), format_count(confusion.count));
  return out + "</table></div>\n";
}

std::string matrix_section(const ConfusionMatrix& matrix, const Names& class_names) {
  return fmt::format(
             "<figure><figcaption><b>Confusion matrix of {}</b><span><i class=\"right\"></i>right</span><span><i "
             "class=\"wrong\"></i>wrong</span> a row for each label, a column for each predicted class</figcaption>\n",
             html_escaped(matrix.metric)) +
         heat_map(matrix, class_names) + "</figure>\n" + confusions(matrix, class_names);
}

std::string section(const TestResult& test, const Names& class_names) {
  std::string out = heading(test) + outputs(test);
  for (const ConfusionMatrix& matrix : distinct_confusions(test)) out += matrix_section(matrix, class_names);
  for (const ClassTable& classes : distinct_tables(test)) out += table(classes, class_names);
  return out;
}

}  // namespace

std::string html_tests(const std::vector<TestResult>& tests, const std::vector<std::string>& class_names) {
  std::string out;
  for (const TestResult& test : tests) out += section(test, class_names);
  return out;
}

}  // namespace trainer
