// trainer convert: other people's files into what Data and HDF5Data layers read.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "data/convert.h"

namespace trainer {
namespace {

// "12,000 of 60,000" on a terminal, redrawn ten times a second; nothing elsewhere.
class ProgressLine {
 public:
  ~ProgressLine() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
  }
  void operator()(int64_t done, int64_t total) {
    using namespace std::chrono;
    if (!terminal_ || steady_clock::now() - last_ < milliseconds(100)) return;
    last_ = steady_clock::now();
    const std::string all = total > 0 ? " of " + format_count(total) : "";
    fmt::print(stderr, "\r{}{}\x1b[K", format_count(done), all);
    drawn_ = true;
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

ConvertProgress reporter(ProgressLine& line) {
  return [&line](int64_t done, int64_t total) { line(done, total); };
}

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
    const std::string first = part.substr(0, dash),
                      last = dash == std::string::npos ? "" : part.substr(dash + 1);
    if (!is_number(first) || !is_number(last)) {
      columns.push_back(part);
      continue;
    }
    const int begin = std::stoi(first), end = std::stoi(last);
    if (begin > end || end - begin >= kMostColumns)
      throw config_error("--columns: {} is no range of columns", part);
    for (int i = begin; i <= end; ++i) columns.push_back(fmt::format("{}", i));
  }
  return columns;
}

std::vector<int64_t> extents(const std::string& text) {
  std::vector<int64_t> shape;
  for (const std::string& part : split(text, ',')) {
    if (!is_number(trim(part)) || std::stoll(trim(part)) == 0)
      throw config_error("--row_shape: \"{}\" is no list of extents such as 1,28,28", text);
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

void refuse_flags(const Arguments& arguments, const char* kind) {
  for (const char* flag : {"columns", "row_shape", "list"}) {
    if (arguments.given(flag)) throw config_error("--{} means nothing to `trainer convert {}`", flag, kind);
  }
}

int convert_idx(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.words();
  refuse_flags(arguments, "idx");
  if (words.size() != 4) throw UsageError("convert idx takes three words: IMAGES LABELS DATABASE");
  ProgressLine line;
  const int64_t records = convert_idx_to_lmdb({words[1], words[2], words[3]}, reporter(line));
  fmt::print("{} records written to {}\n", format_count(records), words[3]);
  return 0;
}

int convert_hdf5(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.words();
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

int run_convert(const Arguments& arguments) {
  if (arguments.words().empty()) throw UsageError("what is to be converted?");
  const std::string& kind = arguments.words()[0];
  if (kind == "idx") return convert_idx(arguments);
  if (kind == "hdf5") return convert_hdf5(arguments);
  const std::string near = nearest_name(kind, {"idx", "hdf5"});
  throw UsageError(fmt::format("cannot convert \"{}\"; known: idx, hdf5{}", kind,
                               near.empty() ? "" : fmt::format(" (did you mean {}?)", near)));
}

REGISTER_COMMAND(
    convert, .name = "convert", .summary = "makes LMDB databases and HDF5 files from idx, .npy and CSV files",
    .usage = "convert idx IMAGES LABELS DATABASE\nconvert hdf5 NAME=FILE [NAME=FILE ...] TARGET.h5 [flags]",
    .description =
        "idx: files of the MNIST family (plain or gzipped) into an LMDB of Datum records, for a Data layer.\n"
        "hdf5: each NAME=FILE, a .npy array or a table (.csv, .txt: commas; .tsv: tabs), becomes the dataset "
        "NAME, for the top "
        "NAME of an HDF5Data layer. Rows are counted along the first axis and must be as many in all.\n"
        "\n"
        "  trainer convert idx train-images.gz train-labels.gz train_lmdb\n"
        "  trainer convert hdf5 data=x.npy label=y.npy train.h5\n"
        "  trainer convert hdf5 data=iris.csv label=iris.csv iris.h5 --columns data=0-3 --columns "
        "label=class\n"
        "\n"
        "Nothing that exists is overwritten; a conversion that fails leaves nothing behind.",
    .flags =
        {
            {"columns", FlagType::kText, "", "NAME=COLUMNS",
             "Columns of a table that make the dataset: names from its header, numbers from 0, ranges "
             "(1-784), commas between.",
             true},
            {"row_shape", FlagType::kText, "", "NAME=EXTENTS",
             "Shape of a row, if another than the file's: data=1,28,28.", true},
            {"list", FlagType::kFile, "", "FILE",
             "Text file to make that names TARGET.h5, for hdf5_data_param's source. Without it: "
             "TARGET.h5.txt."},
        },
    .run = run_convert);

}  // namespace
}  // namespace trainer
