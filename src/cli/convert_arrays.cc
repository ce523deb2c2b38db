// trainer convert idx, cifar and hdf5.
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "cli/convert_kind.h"

namespace trainer {
namespace {

// "label=labels.npy" at its first "=".
std::pair<std::string, std::string> named(const std::string& word, const char* example) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == word.size())
    throw UsageError(fmt::format("\"{}\" should have the form {}", word, example));
  return {word.substr(0, equals), word.substr(equals + 1)};
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() <= 9 && text.find_first_not_of("0123456789") == std::string::npos;
}

// "class", "0,3,4", "1-784".
std::vector<std::string> column_list(const std::string& text) {
  constexpr int kMostColumns = 1 << 20;
  std::vector<std::string> columns;
  for (const std::string& part : split(text, ',')) {
    const size_t dash = part.find('-');
    const std::string first = part.substr(0, dash), last = dash == std::string::npos ? "" : part.substr(dash + 1);
    if (!is_number(first) || !is_number(last)) {
      columns.push_back(part);
      continue;
    }
    const int begin = std::stoi(first), end = std::stoi(last);
    if (begin > end || end - begin >= kMostColumns) throw config_error("--columns: {} is not a range of columns", part);
    for (int i = begin; i <= end; ++i) columns.push_back(fmt::format("{}", i));
  }
  return columns;
}

std::vector<int64_t> extents(const std::string& text) {
  std::vector<int64_t> shape;
  for (const std::string& part : split(text, ',')) {
    if (!is_number(trim(part)) || std::stoll(trim(part)) == 0)
      throw config_error("--row_shape: \"{}\" is not a list of extents such as 1,28,28", text);
    shape.push_back(std::stoll(trim(part)));
  }
  return shape;
}

ArrayInput& input_called(ArraysToHdf5& request, const std::string& dataset, const char* flag) {
  std::vector<std::string> names;
  for (ArrayInput& input : request.inputs) {
    if (input.dataset == dataset) return input;
    names.push_back(input.dataset);
  }
  throw config_error("--{}: there is no dataset \"{}\" among {}", flag, dataset, fmt::join(names, ", "));
}

}  // namespace

int run_convert_idx(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() != 4)
    throw UsageError(fmt::format("convert {} takes three words: IMAGES LABELS DATABASE", words[0]));
  ProgressLine line;
  const int64_t records = convert_idx({words[1], words[2], words[3], arguments.text("backend")}, reporter(line));
  fmt::print("{} records written to {}\n", format_count(records), words[3]);
  return 0;
}

int run_convert_cifar(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() != 3 && words.size() != 4)
    throw UsageError("convert cifar takes SOURCE_FOLDER TARGET_FOLDER and perhaps lmdb or leveldb");
  CifarToDatabases request{words[1], words[2], arguments.text("backend")};
  if (words.size() == 4) request.backend = words[3];
  ProgressLine line;
  const auto [trained, tested] = convert_cifar(request, reporter(line));
  fmt::print("{} records written to {}/cifar10_train_{} and {} to cifar10_test_{}\n", format_count(trained), words[2],
             request.backend, format_count(tested), request.backend);
  return 0;
}

int run_convert_hdf5(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() < 3) throw UsageError("convert hdf5 takes datasets and then the file to make");
  ArraysToHdf5 request;
  for (size_t i = 1; i + 1 < words.size(); ++i) {
    const auto input = named(words[i], "NAME=FILE");
    request.inputs.push_back({input.first, input.second, {}, {}});
  }
  request.target = words.back();
  request.list = arguments.text("list");
  for (const std::string& value : arguments.texts("columns")) {
    const auto columns = named(value, "NAME=COLUMNS");
    input_called(request, columns.first, "columns").columns = column_list(columns.second);
  }
  for (const std::string& value : arguments.texts("row_shape")) {
    const auto shape = named(value, "NAME=EXTENTS");
    input_called(request, shape.first, "row_shape").row_shape = extents(shape.second);
  }
  ProgressLine line;
  const int64_t rows = convert_arrays_to_hdf5(request, reporter(line));
  fmt::print("{} rows written to {}; {} names it for hdf5_data_param\n", format_count(rows), request.target,
             request.list.empty() ? request.target + ".txt" : request.list);
  return 0;
}

}  // namespace trainer
