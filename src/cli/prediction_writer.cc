// Formats predictions.
#include "cli/prediction_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/text.h"
#include "report/json_line.h"

namespace trainer {
namespace {

// The classes with the largest values, largest first; the lower class of equal ones. NaN is the smallest value.
std::vector<size_t> best_classes(std::span<const float> values, int64_t count) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto better = [&](size_t a, size_t b) {
    const bool first = std::isnan(values[a]), second = std::isnan(values[b]);
    if (first != second) return second;
    return first || values[a] == values[b] ? a < b : values[a] > values[b];
  };
  const auto shown = static_cast<std::ptrdiff_t>(std::min<int64_t>(count, static_cast<int64_t>(values.size())));
  std::partial_sort(order.begin(), order.begin() + shown, order.end(), better);
  order.resize(static_cast<size_t>(shown));
  return order;
}

std::string name_of(const PredictionForm& form, size_t number) {
  return number < form.class_names.size() ? form.class_names[number] : "";
}

std::string json_number(float value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string named_classes(const PredictionForm& form, std::span<const float> values, int64_t count) {
  std::vector<std::string> parts;
  for (const size_t c : best_classes(values, count))
    parts.push_back(
        fmt::format("{} {:.4f}", form.class_names.empty() ? fmt::format("{}", c) : name_of(form, c), values[c]));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string classes_as_json(const PredictionForm& form, const std::string& name, std::span<const float> values) {
  std::vector<std::string> parts;
  for (const size_t c : best_classes(values, form.top_k)) {
    const std::string named =
        form.class_names.empty() ? "" : fmt::format(",\"name\":{}", json_string(name_of(form, c)));
    parts.push_back(fmt::format("{{\"class\":{}{},\"probability\":{}}}", c, named, json_number(values[c])));
  }
  return fmt::format("{{\"name\":{},\"classes\":[{}]}}\n", json_string(name), fmt::join(parts, ","));
}

std::string classes_as_csv(const PredictionForm& form, const std::string& name, std::span<const float> values) {
  std::string lines;
  int rank = 0;
  for (const size_t c : best_classes(values, form.top_k))
    lines += fmt::format("{},{},{},{},{}\n", csv_text(name), ++rank, c, csv_text(name_of(form, c)), values[c]);
  return lines;
}

std::string values_in(PredictionFormat format, const std::string& name, std::span<const float> values) {
  switch (format) {
    case PredictionFormat::kText: return fmt::format("{}: {}\n", printable(name), fmt::join(values, " "));
    case PredictionFormat::kCsv: return fmt::format("{},{}\n", csv_text(name), fmt::join(values, ","));
    case PredictionFormat::kJson: break;
  }
  std::vector<std::string> numbers;
  for (const float value : values) numbers.push_back(json_number(value));
  return fmt::format("{{\"name\":{},\"values\":[{}]}}\n", json_string(name), fmt::join(numbers, ","));
}

}  // namespace

std::string prediction_header(const PredictionForm& form) {
  return form.format == PredictionFormat::kCsv && form.probabilities ? "name,rank,class,class_name,probability\n" : "";
}

std::string prediction_caption(const PredictionForm& form, std::span<const float> values) {
  return form.probabilities ? named_classes(form, values, 1) : fmt::format("{:.4g}", fmt::join(values, " "));
}

std::string prediction_lines(const PredictionForm& form, const std::string& name, std::span<const float> values) {
  if (!form.probabilities) return values_in(form.format, name, values);
  switch (form.format) {
    case PredictionFormat::kJson: return classes_as_json(form, name, values);
    case PredictionFormat::kCsv: return classes_as_csv(form, name, values);
    case PredictionFormat::kText: break;
  }
  return fmt::format("{}: {}\n", printable(name), named_classes(form, values, form.top_k));
}

}  // namespace trainer
