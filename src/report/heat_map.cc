// Draws confusion matrices.
#include "report/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "report/class_tables.h"
#include "report/svg_chart.h"

namespace trainer {
namespace {

constexpr double kWidth = 760, kLargestCell = 44, kLetter = 7, kGap = 6;
constexpr int64_t kClassesWithCounts = 20, kClassesWithNames = 40, kRowsShown = 100;
constexpr size_t kLettersShown = 22;
// Cells darker than this have light text.
constexpr double kDark = 0.6;
constexpr size_t kLevels = 8;

// Small shares remain visible.
double opacity_of(int64_t count, int64_t of_row) {
  return std::sqrt(static_cast<double>(count) / static_cast<double>(of_row));
}

int64_t row_sum(const ConfusionMatrix& matrix, int64_t label) {
  int64_t sum = 0;
  for (int64_t predicted = 0; predicted < matrix.classes; ++predicted) sum += matrix.count(label, predicted);
  return sum;
}

const char* kind_of(int64_t row, int64_t column) { return row == column ? "right" : "wrong"; }

std::string svg(const ConfusionMatrix& matrix, double height, const std::string& content) {
  return fmt::format("<svg viewBox=\"0 0 {} {:.1f}\" role=\"img\" aria-label=\"confusion matrix of {}\">\n{}</svg>\n",
                     kWidth, height, html_escaped(matrix.metric), content);
}

// Draws the matrix with the names of the classes along two sides.
class NamedMatrix {
 public:
  NamedMatrix(const ConfusionMatrix& matrix, const std::vector<std::string>& names) : matrix_(matrix), names_(names) {
    size_t longest = 1;
    for (int64_t i = 0; i < matrix.classes; ++i) longest = std::max(longest, shown_name(i).size());
    margin_ = static_cast<double>(longest) * kLetter + 2 * kGap;
    upright_ = longest <= 3;
    top_ = upright_ ? 3 * kGap : margin_;
    cell_ = std::min(kLargestCell, (kWidth - margin_) / static_cast<double>(matrix.classes));
  }

  std::string text() const {
    const auto extent = cell_ * static_cast<double>(matrix_.classes);
    std::string out =
        fmt::format("<rect class=\"empty\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n", margin_,
                    top_, extent, extent);
    for (int64_t i = 0; i < matrix_.classes; ++i) out += names_of(i) + row(i);
    return svg(matrix_, top_ + extent + kGap, out);
  }

 private:
  std::string shown_name(int64_t i) const { return fmt::format("{:.{}}", class_name(names_, i), kLettersShown); }
  double x(int64_t column) const { return margin_ + cell_ * static_cast<double>(column); }
  double y(int64_t row) const { return top_ + cell_ * static_cast<double>(row); }

  std::string names_of(int64_t i) const {
    const std::string name = html_escaped(shown_name(i));
    const double column = x(i) + cell_ / 2;
    const std::string above =
        upright_ ? fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
                               column, top_ - kGap, name)
                 : fmt::format("<text class=\"tick\" transform=\"translate({:.1f} {:.1f}) rotate(-90)\">{}</text>",
                               column + 4, top_ - kGap, name);
    return fmt::format("<text class=\"tick\" text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>{}\n",
                       margin_ - kGap, y(i) + cell_ / 2 + 4, name, above);
  }

  std::string row(int64_t label) const {
    const int64_t sum = row_sum(matrix_, label);
    std::string out;
    for (int64_t predicted = 0; predicted < matrix_.classes; ++predicted) {
      if (matrix_.count(label, predicted) > 0) out += cell(label, predicted, sum);
    }
    return out;
  }

  std::string cell(int64_t label, int64_t predicted, int64_t sum) const {
    const int64_t count = matrix_.count(label, predicted);
    const double opacity = opacity_of(count, sum);
    const std::string rest = label == predicted ? "" : " taken for " + class_name(names_, predicted);
    return fmt::format(
        "<g><title>{}{}: {} of {}</title><rect class=\"{}\" fill-opacity=\"{:.2f}\" x=\"{:.1f}\" y=\"{:.1f}\" "
        "width=\"{:.1f}\" height=\"{:.1f}\"/>{}</g>\n",
        html_escaped(class_name(names_, label)), html_escaped(rest), format_count(count), format_count(sum),
        kind_of(label, predicted), opacity, x(predicted) + 0.5, y(label) + 0.5, cell_ - 1, cell_ - 1,
        count_text(label, predicted, opacity));
  }

  std::string count_text(int64_t label, int64_t predicted, double opacity) const {
    if (matrix_.classes > kClassesWithCounts) return "";
    const std::string text = fmt::format("{}", matrix_.count(label, predicted));
    const double size = std::min(12.0, 1.5 * cell_ / static_cast<double>(text.size()));
    return fmt::format(
        "<text class=\"{}\" text-anchor=\"middle\" font-size=\"{:.1f}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
        opacity > kDark ? "high" : "low", size, x(predicted) + cell_ / 2, y(label) + cell_ / 2 + 4, text);
  }

  const ConfusionMatrix& matrix_;
  const std::vector<std::string>& names_;
  double margin_, top_, cell_;
  bool upright_;  // the names above the columns are short
};

// The matrix of groups of `size` neighboring classes.
ConfusionMatrix grouped(const ConfusionMatrix& matrix, int64_t size) {
  ConfusionMatrix groups{matrix.metric, (matrix.classes + size - 1) / size, {}};
  groups.counts.resize(static_cast<size_t>(groups.classes * groups.classes));
  for (int64_t label = 0; label < matrix.classes; ++label) {
    for (int64_t predicted = 0; predicted < matrix.classes; ++predicted)
      groups.counts[static_cast<size_t>(label / size * groups.classes + predicted / size)] +=
          matrix.count(label, predicted);
  }
  return groups;
}

// One path for all cells of a kind and a level of opacity, because there are thousands.
std::string picture(const ConfusionMatrix& groups) {
  std::array<std::string, 2 * kLevels> paths;
  for (int64_t row = 0; row < groups.classes; ++row) {
    const int64_t sum = row_sum(groups, row);
    for (int64_t column = 0; column < groups.classes; ++column) {
      const int64_t count = groups.count(row, column);
      if (count == 0) continue;
      const auto level = static_cast<size_t>(std::ceil(opacity_of(count, sum) * kLevels)) - 1;
      paths[2 * level + (row != column)] += fmt::format("M{} {}h1v1h-1z", column, row);
    }
  }
  std::string out = fmt::format("<g transform=\"scale({:.4f})\"><rect class=\"empty\" width=\"{}\" height=\"{}\"/>\n",
                                kWidth / static_cast<double>(groups.classes), groups.classes, groups.classes);
  for (size_t i = 0; i < paths.size(); ++i) {
    const size_t level = i / 2 + 1;
    if (!paths[i].empty())
      out += fmt::format("<path class=\"{}\" fill-opacity=\"{:.3f}\" d=\"{}\"/>\n", i % 2 == 0 ? "right" : "wrong",
                         static_cast<double>(level) / kLevels, paths[i]);
  }
  return svg(groups, kWidth, out + "</g>\n");
}

}  // namespace

std::string heat_map(const ConfusionMatrix& matrix, const std::vector<std::string>& class_names) {
  if (matrix.classes <= kClassesWithNames) return NamedMatrix(matrix, class_names).text();
  const int64_t size = (matrix.classes + kRowsShown - 1) / kRowsShown;
  const std::string note =
      size > 1 ? fmt::format("<p class=\"soft\">A cell has {} by {} classes.</p>\n", size, size) : "";
  return picture(grouped(matrix, size)) + note;
}

}  // namespace trainer
