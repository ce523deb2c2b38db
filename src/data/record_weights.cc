// A weight is the product of that of the record and that of its class.
#include "data/record_weights.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <unordered_map>

#include "base/text.h"
#include "formats/input_file.h"

namespace trainer {

namespace {

bool is_active(const caffe::SamplingParameter& sampling) {
  return needs_classes(sampling) || sampling.has_record_weights();
}

double parse_weight(const std::string& text, const std::string& file, size_t line) {
  double weight = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
  const bool number = error == std::errc() && end == text.data() + text.size();
  if (!number || !(weight >= 0 && std::isfinite(static_cast<float>(weight))))
    throw data_error("{}:{}: \"{}\" is not a weight: each line is a number, 0 or more", file, line, printable(text));
  return weight;
}

std::vector<double> read_weights(const std::string& file, uint64_t records, const std::string& set) {
  const InputFile input(file, "file of weights");
  if (input.size() > 0 && !input.looks_like_text())
    throw data_error("{} is not a text file: it has the weight of a record in each line", file);
  std::ifstream in(file, std::ios::binary);
  skip_byte_order_mark(in);
  std::vector<double> weights;
  weights.reserve(static_cast<size_t>(records));
  size_t lines = 0;
  for (std::string text; std::getline(in, text);) {
    const std::string word = trim(text);
    if (lines >= records && word.empty()) continue;  // the end of the file
    ++lines;
    if (lines <= records) weights.push_back(parse_weight(word, file, lines));
  }
  if (in.bad()) throw data_error("{} cannot be read beyond line {}: copy it again", file, lines);
  const auto count = [](uint64_t number) { return format_count(static_cast<int64_t>(number)); };
  if (lines != records)
    throw data_error("{} has {} lines, but {} has {} records: each record needs a line", file, count(lines), set,
                     count(records));
  return weights;
}

// Reports class_weight that does not fit the classes.
void check_class_weights(SourceContext& context, const SampledSet& set, uint32_t classes) {
  const auto given = static_cast<uint32_t>(set.sampling.class_weight_size());
  if (set.class_names.empty() ? given >= classes : given == classes) return;
  context.error(set.message + ".sampling.class_weight",
                fmt::format("class_weight has {} value{}, but {} has {} classes", given, given == 1 ? "" : "s",
                            set.path, classes),
                "give a value for each class, in the order of the labels");
}

void warn_of_missing_classes(SourceContext& context, const SampledSet& set, std::vector<uint32_t> present,
                             uint32_t classes) {
  constexpr size_t kMostShown = 10;
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  if (!present.empty() && present.back() == kNoClass) present.pop_back();
  if (present.size() == classes) return;
  std::vector<uint32_t> missing;
  for (uint32_t c = 0; missing.size() < kMostShown && c < classes; ++c) {
    if (!std::binary_search(present.begin(), present.end(), c)) missing.push_back(c);
  }
  const size_t count = classes - present.size();
  context.warning(
      set.message + ".sampling.balance_classes",
      fmt::format("{} has no record of {} of its {} classes ({}{}): the others are read equally often", set.path, count,
                  classes, fmt::join(missing, ", "), count > missing.size() ? ", ..." : ""));
}

// Makes the sum of each class 1, or leaves it 0.
void balance(const std::vector<uint32_t>& classes, std::vector<double>& weights) {
  std::unordered_map<uint32_t, double> sums;
  for (size_t i = 0; i < weights.size(); ++i) sums[classes[i]] += weights[i];
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0) weights[i] /= sums[classes[i]];
  }
}

// Applies the part of the weights that depends on classes.
void weigh_by_class(SourceContext& context, const SampledSet& set, RecordWeights& result) {
  result.classes = set.classes_of();
  uint32_t classes = static_cast<uint32_t>(set.class_names.size());
  for (size_t i = 0; i < result.classes.size(); ++i) {
    if (result.classes[i] == kNoClass) {
      result.weights[i] = 0;
    } else {
      classes = std::max(classes, result.classes[i] + 1);
    }
  }
  if (set.sampling.balance_classes()) {
    warn_of_missing_classes(context, set, result.classes, classes);
    return balance(result.classes, result.weights);
  }
  check_class_weights(context, set, classes);
  if (context.failed()) return;
  for (size_t i = 0; i < result.weights.size(); ++i) {
    if (result.classes[i] != kNoClass)
      result.weights[i] *= static_cast<double>(set.sampling.class_weight(static_cast<int>(result.classes[i])));
  }
}

}  // namespace

bool needs_classes(const caffe::SamplingParameter& sampling) {
  return sampling.balance_classes() || sampling.class_weight_size() > 0;
}

void check_sampling(SourceContext& context, const std::string& message, const caffe::SamplingParameter& sampling,
                    bool shuffle) {
  if (is_active(sampling) && !shuffle)
    context.error(message + ".sampling", "sampling draws the records of each epoch at random, but shuffle is false",
                  "set shuffle: true, or remove sampling");
  if (sampling.balance_classes() && sampling.class_weight_size() > 0)
    context.error_in(sampling, "class_weight", "both balance_classes and class_weight are given", "keep one");
  bool any = sampling.class_weight_size() == 0;
  for (int c = 0; c < sampling.class_weight_size(); ++c) {
    const float weight = sampling.class_weight(c);
    any = any || weight != 0;
    if (!(weight >= 0 && std::isfinite(weight)))
      context.error_in(sampling, "class_weight", fmt::format("class_weight of class {} is {}", c, weight),
                       "it must be a finite number, 0 or more");
  }
  if (!any) context.error_in(sampling, "class_weight", "each class_weight is 0", "give a class a weight above 0");
  if (sampling.has_record_weights() && sampling.record_weights().empty())
    context.error_in(sampling, "record_weights", "record_weights is empty", "remove the field, or name a file");
}

std::optional<RecordWeights> weigh_records(SourceContext& context, const SampledSet& set) {
  if (!is_active(set.sampling) || context.options().phase != caffe::TRAIN || context.options().in_order)
    return std::nullopt;
  const std::string field = set.message + ".sampling";
  RecordWeights result;
  result.weights.assign(static_cast<size_t>(set.records), 1.0);
  if (set.sampling.has_record_weights())
    context.attempt(field + ".record_weights",
                    [&] { result.weights = read_weights(set.sampling.record_weights(), set.records, set.path); });
  if (needs_classes(set.sampling)) context.attempt(field, [&] { weigh_by_class(context, set, result); });
  if (context.failed()) return std::nullopt;
  if (std::all_of(result.weights.begin(), result.weights.end(), [](double weight) { return weight == 0; })) {
    context.data_error(field, fmt::format("each record of {} has the weight 0", set.path),
                       "give a record a weight above 0");
    return std::nullopt;
  }
  return result;
}

uint32_t class_of(int32_t label, const std::function<std::string()>& record) {
  if (label < 0)
    throw data_error("{}: its label is {}, but classes are numbers from 0: correct the record, or remove it", record(),
                     label);
  return static_cast<uint32_t>(label);
}

}  // namespace trainer
