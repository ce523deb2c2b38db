// trainer convert: makes databases and HDF5 files for Data and HDF5Data layers from other files.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/progress_line.h"
#include "cli/signals.h"
#include "data/convert/convert.h"
#include "report/log.h"

namespace trainer {
namespace {

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

int pixel_count(const Arguments& arguments, const char* flag) {
  const int64_t value = arguments.integer(flag);
  if (value < 0 || value > std::numeric_limits<int>::max())
    throw config_error("--{}: {} is not a number of pixels", flag, value);
  return static_cast<int>(value);
}

ArrayInput& input_called(ArraysToHdf5& request, const std::string& dataset, const char* flag) {
  std::vector<std::string> names;
  for (ArrayInput& input : request.inputs) {
    if (input.dataset == dataset) return input;
    names.push_back(input.dataset);
  }
  throw config_error("--{}: there is no dataset \"{}\" among {}", flag, dataset, fmt::join(names, ", "));
}

// A kind of conversion with its flags.
struct Kind {
  const char* name;
  std::vector<const char*> flags;
  int (*run)(const Arguments& arguments);
};

int run_idx(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() != 4)
    throw UsageError(fmt::format("convert {} takes three words: IMAGES LABELS DATABASE", words[0]));
  ProgressLine line;
  const int64_t records = convert_idx({words[1], words[2], words[3], arguments.text("backend")}, reporter(line));
  fmt::print("{} records written to {}\n", format_count(records), words[3]);
  return 0;
}

int run_cifar(const Arguments& arguments) {
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

int run_imageset(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() != 4) throw UsageError("convert imageset takes three words: ROOTFOLDER/ LISTFILE DATABASE");
  ImagesToDatabase request;
  request.root = words[1];
  request.list = words[2];
  request.target = words[3];
  request.backend = arguments.text("backend");
  request.gray = arguments.get_bool("gray");
  request.shuffle = arguments.get_bool("shuffle");
  request.check_size = arguments.get_bool("check_size");
  request.encoded = arguments.get_bool("encoded");
  request.encode_type = arguments.text("encode_type");
  request.resize_height = pixel_count(arguments, "resize_height");
  request.resize_width = pixel_count(arguments, "resize_width");
  const SignalHandlers signals;
  const ImagesConverted converted = convert_images(
      request, [](const std::string& warning) { log_warning(warning); },
      [&](int64_t done, int64_t total) {
        signals.throw_if_stopped();
        if (done == 0)
          log_info(fmt::format("A total of {} images.", total));
        else if (done % 1000 == 0)
          log_info(fmt::format("Processed {} files.", done));
      });
  if (converted.records % 1000 != 0) log_info(fmt::format("Processed {} files.", converted.records));
  fmt::print(
      "{} records written to {}{}\n", format_count(converted.records), words[3],
      converted.skipped == 0 ? "" : fmt::format("; {} images could not be read", format_count(converted.skipped)));
  return 0;
}

int run_hdf5(const Arguments& arguments) {
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

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> list = {
      {"imageset",
       {"backend", "gray", "shuffle", "check_size", "encoded", "encode_type", "resize_height", "resize_width"},
       run_imageset},
      {"idx", {"backend"}, run_idx},
      {"mnist", {"backend"}, run_idx},
      {"cifar", {"backend"}, run_cifar},
      {"hdf5", {"columns", "row_shape", "list"}, run_hdf5},
  };
  return list;
}

// Refuses flags of other kinds, which would have no effect.
void refuse_other_flags(const Arguments& arguments, const Kind& kind) {
  for (const Kind& other : kinds()) {
    for (const char* flag : other.flags) {
      const bool own = std::any_of(kind.flags.begin(), kind.flags.end(),
                                   [&](const char* known) { return std::strcmp(known, flag) == 0; });
      if (!own && arguments.given(flag))
        throw config_error("--{} has no effect with `trainer convert {}`", flag, kind.name);
    }
  }
}

int run_convert(const Arguments& arguments) {
  if (arguments.positional().empty()) throw UsageError("convert needs the kind of conversion");
  const std::string& wanted = arguments.positional()[0];
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) {
    if (wanted != kind.name) {
      names.push_back(kind.name);
      continue;
    }
    refuse_other_flags(arguments, kind);
    return kind.run(arguments);
  }
  throw UsageError(fmt::format("cannot convert \"{}\"; known: {}{}", wanted, fmt::join(names, ", "),
                               suggest(wanted, names, " (did you mean {}?)")));
}

REGISTER_COMMAND(
    convert, .name = "convert",
    .summary = "makes databases and HDF5 files from images, idx, CIFAR-10, .npy and CSV files",
    .usage =
        "convert imageset ROOTFOLDER/ LISTFILE DATABASE [flags]\nconvert idx IMAGES LABELS DATABASE\n"
        "convert cifar SOURCE_FOLDER TARGET_FOLDER [lmdb|leveldb]\n"
        "convert hdf5 NAME=FILE [NAME=FILE ...] TARGET.h5 [flags]",
    .description =
        "imageset: the images of a list with lines \"path label\" into a database of Datum records, for a Data layer. "
        "ROOTFOLDER/ is put before each path. Images that cannot be read are skipped with a warning.\n"
        "idx (or mnist): files of the MNIST family (plain or gzipped) into a database.\n"
        "cifar: the binary files of CIFAR-10 into cifar10_train_lmdb and cifar10_test_lmdb in TARGET_FOLDER.\n"
        "hdf5: each NAME=FILE, a .npy array or a table (.csv, .txt: commas; .tsv: tabs), becomes the dataset NAME, for "
        "the top NAME of an HDF5Data layer. All must have the same number of rows (first axis).\n"
        "\n"
        "  trainer convert imageset pictures/ train.txt train_lmdb --resize_height=256 --resize_width=256\n"
        "  trainer convert idx train-images.gz train-labels.gz train_lmdb\n"
        "  trainer convert hdf5 data=x.npy label=y.npy train.h5\n"
        "  trainer convert hdf5 data=iris.csv label=iris.csv iris.h5 --columns data=0-3 --columns label=class\n"
        "\n"
        "Existing files are not overwritten; a conversion that fails leaves no files.",
    .flags =
        {
            {"backend", FlagType::kChoice, "lmdb", "lmdb|leveldb", "The kind of database to make."},
            {"gray", FlagType::kBool, "false", "", "imageset: read images as gray, 1 channel."},
            {"shuffle", FlagType::kBool, "false", "",
             "imageset: take the lines in a random order, the same in each run."},
            {"resize_height", FlagType::kInteger, "0", "PIXELS",
             "imageset: the height to resize images to, together with resize_width. 0: keep the size."},
            {"resize_width", FlagType::kInteger, "0", "PIXELS", "imageset: the width to resize images to."},
            {"check_size", FlagType::kBool, "false", "",
             "imageset: end with an error if the size of an image differs from that of the first."},
            {"encoded", FlagType::kBool, "false", "",
             "imageset: store the image files instead of pixels, in their own format."},
            {"encode_type", FlagType::kText, "", "jpg|png", "imageset: store image files in this format."},
            {"columns", FlagType::kText, "", "NAME=COLUMNS",
             "The columns of a table for the dataset: names from its header, numbers from 0, ranges (1-784), "
             "separated by commas.",
             true},
            {"row_shape", FlagType::kText, "", "NAME=EXTENTS",
             "The shape of a row, if it differs from that in the file: data=1,28,28.", true},
            {"list", FlagType::kFile, "", "FILE",
             "The text file to make that names TARGET.h5, for the source of hdf5_data_param. Default: TARGET.h5.txt."},
        },
    .run = run_convert);

}  // namespace
}  // namespace trainer
