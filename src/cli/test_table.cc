// Writes the results of a test as text.
#include "cli/test_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "report/class_tables.h"
#include "report/log.h"

namespace trainer {
namespace {

constexpr size_t kWidth = 80, kNameWidth = 20, kConfusionsShown = 10;
// A blob with more elements is one line.
constexpr int kElementsShown = 10;

using Names = std::vector<std::string>;

// The characters of UTF-8.
size_t width(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

struct Line {
  std::string name, value, counted;
};

std::vector<Line> lines_of(const TestResult& result) {
  std::map<std::string, int> elements;
  for (const OutputValue& output : result.outputs) ++elements[output.name];
  const Names names = series_names(result.outputs);
  std::vector<Line> lines;
  for (size_t i = 0; i < names.size(); ++i) {
    const OutputValue& output = result.outputs[i];
    int& count = elements[output.name];
    if (count <= kElementsShown) {
      lines.push_back({printable(names[i]), value_text(output), counted_text(output, result.images)});
    } else if (names[i].ends_with("[0]")) {
      lines.push_back({printable(output.name), fmt::format("{} values; --json has them", format_count(count)),
                       counted_text({}, result.images)});
    }
  }
  const std::string total = result.loss ? log_number(*result.loss) : "0";
  const auto is_total = [&](const OutputValue& output) {
    return output.loss_weight == 1 && log_number(output.value) == total;
  };
  if (total != "0" && std::ranges::none_of(result.outputs, is_total))
    lines.push_back({"total loss", total, counted_text({}, result.images)});
  return lines;
}

std::string outputs(const TestResult& result) {
  const std::vector<Line> lines = lines_of(result);
  size_t name_width = 0, value_width = 0;
  for (const Line& line : lines) {
    name_width = std::max(name_width, width(line.name));
    value_width = std::max(value_width, width(line.value));
  }
  std::string text;
  for (const Line& line : lines)
    text += line.counted.empty()
                ? fmt::format("{:<{}}  {}\n", line.name, name_width, line.value)
                : fmt::format("{:<{}}  {:<{}}  {}\n", line.name, name_width, line.value, value_width, line.counted);
  return text;
}

std::string shortened(const std::string& name) { return fmt::format("{:.{}}", name, kNameWidth); }

std::string classes(const ClassTable& table, const Names& class_names, size_t most_classes) {
  const std::vector<size_t> rows = shown_rows(table, most_classes);
  size_t name_width = 5;
  for (const size_t row : rows)
    name_width = std::max(name_width, width(shortened(class_name(class_names, static_cast<int64_t>(row)))));
  std::string text = fmt::format("\n{} by class\n{:<{}}", table.metric, "class", name_width);
  for (const std::string& column : table.columns) text += fmt::format("  {:>9}", column);
  text += '\n';
  for (const size_t row : rows) {
    text += fmt::format("{:<{}}", shortened(class_name(class_names, static_cast<int64_t>(row))), name_width);
    for (size_t column = 0; column < table.columns.size(); ++column)
      text += fmt::format("  {:>{}}", cell_text(table, row, column), std::max<size_t>(9, table.columns[column].size()));
    text += '\n';
  }
  const size_t all = table.cells.size() / table.columns.size();
  if (rows.size() < all)
    text += fmt::format("These are the {} of {} classes with the lowest {}; --json has all.\n", rows.size(),
                        format_count(static_cast<int64_t>(all)), ranking_column(table));
  return text;
}

std::string largest(const ConfusionMatrix& matrix, const Names& class_names) {
  const std::vector<Confusion> confusions = largest_confusions(matrix, kConfusionsShown);
  if (confusions.empty()) return "";
  std::string text = fmt::format("\nlargest confusions of {}\n", matrix.metric);
  for (const Confusion& confusion : confusions)
    text += fmt::format("{} taken for {}: {}\n", class_name(class_names, confusion.label),
                        class_name(class_names, confusion.predicted), format_count(confusion.count));
  return text;
}

// "" if it is too wide.
std::string whole(const ConfusionMatrix& matrix, const Names& class_names) {
  const auto digits = [](int64_t number) { return std::to_string(number).size(); };
  const size_t number_width = digits(matrix.classes - 1);
  const size_t cell = std::max(number_width, digits(*std::ranges::max_element(matrix.counts))) + 1;
  const auto name = [&](int64_t i) {
    const std::string number = fmt::format("{:>{}}", i, number_width);
    return static_cast<size_t>(i) < class_names.size() ? number + " " + shortened(class_name(class_names, i)) : number;
  };
  size_t name_width = 0;
  for (int64_t i = 0; i < matrix.classes; ++i) name_width = std::max(name_width, width(name(i)));
  if (name_width + static_cast<size_t>(matrix.classes) * cell > kWidth) return "";
  std::string text =
      fmt::format("\nconfusion matrix of {}\na row for each label, a column for each predicted class\n{:{}}",
                  matrix.metric, "", name_width);
  for (int64_t i = 0; i < matrix.classes; ++i) text += fmt::format("{:>{}}", i, cell);
  text += '\n';
  for (int64_t label = 0; label < matrix.classes; ++label) {
    text += fmt::format("{:<{}}", name(label), name_width);
    for (int64_t predicted = 0; predicted < matrix.classes; ++predicted) {
      const int64_t count = matrix.count(label, predicted);
      text += fmt::format("{:>{}}", count == 0 ? "." : std::to_string(count), cell);
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::string test_table(const TestResult& result, const std::vector<std::string>& class_names, size_t most_classes) {
  std::string text = outputs(result);
  for (const ClassTable& table : distinct_tables(result)) text += classes(table, class_names, most_classes);
  for (const ConfusionMatrix& matrix : distinct_confusions(result)) {
    const std::string drawn = whole(matrix, class_names);
    text += drawn.empty() ? largest(matrix, class_names) : drawn;
  }
  return text;
}

}  // namespace trainer
