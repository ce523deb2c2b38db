// Converts NumPy arrays and tables of numbers to an HDF5 file and its list.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "data/convert/convert.h"
#include "formats/atomic_file.h"
#include "formats/csv.h"
#include "formats/hdf5_file.h"
#include "formats/npy.h"

namespace trainer {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kSlabBytes = int64_t{4} << 20;

// Reads the rows of one input in slabs.
class RowReader {
 public:
  virtual ~RowReader() = default;
  virtual int64_t total() const = 0;  // 0: unknown before the end
  virtual Shape row_shape() const = 0;
  // Returns up to `most` rows; 0 at the end.
  virtual int64_t read(int64_t most, float* out) = 0;
};

class NpyRows : public RowReader {
 public:
  explicit NpyRows(const std::string& path) : file_(path) {
    if (file_.shape().rank() < 1) throw data_error("{} is a single value: its first axis should count the rows", path);
  }
  int64_t total() const override { return file_.shape()[0]; }
  Shape row_shape() const override {
    return Shape(std::vector<int64_t>(file_.shape().dims().begin() + 1, file_.shape().dims().end()));
  }
  int64_t read(int64_t most, float* out) override {
    const int64_t count = std::min(most, total() - at_);
    if (count > 0) file_.read_rows(at_, at_ + count, out);
    at_ += count;
    return count;
  }

 private:
  NpyFile file_;
  int64_t at_ = 0;
};

class TableRows : public RowReader {
 public:
  TableRows(const ArrayInput& input, char separator) : file_(input.path, separator) {
    for (const std::string& column : input.columns) columns_.push_back(find_column(column));
    if (columns_.empty()) {
      for (int i = 0; i < file_.columns(); ++i) columns_.push_back(static_cast<size_t>(i));
    }
    if (columns_.empty()) throw data_error("{} is empty", input.path);
  }
  int64_t total() const override { return 0; }
  Shape row_shape() const override {
    return columns_.size() == 1 ? Shape{} : Shape{static_cast<int64_t>(columns_.size())};
  }
  int64_t read(int64_t most, float* out) override {
    int64_t count = 0;
    while (count < most && file_.next_row(row_)) {
      for (size_t column : columns_) *out++ = finite(column);
      ++count;
    }
    return count;
  }

 private:
  // NaN and infinity make a training fail without naming the row they came from.
  float finite(size_t column) const {
    if (std::isfinite(row_[column])) return row_[column];
    throw data_error("{}, line {}, column {}: {} is not a finite number; remove the row or give it a value",
                     file_.path(), file_.line(), column + 1, row_[column]);
  }

  size_t find_column(const std::string& name) const {
    const auto& header = file_.header();
    const auto found = std::find(header.begin(), header.end(), name);
    if (found != header.end()) return static_cast<size_t>(found - header.begin());
    int number = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size() && number >= 0 && number < file_.columns()) {
      return static_cast<size_t>(number);
    }
    throw config_error("{} has no column '{}': it has {} columns{}{}", file_.path(), name, file_.columns(),
                       header.empty() ? ", numbered from 0, and no header line" : "",
                       suggest(name, header, "; did you mean '{}'?"));
  }

  CsvFile file_;
  std::vector<size_t> columns_;
  std::vector<float> row_;
};

std::unique_ptr<RowReader> open_rows(const ArrayInput& input) {
  const std::string extension = fs::path(input.path).extension().string();
  if (extension == ".npy") {
    if (!input.columns.empty())
      throw config_error("{}: columns are chosen from tables, not from .npy files", input.path);
    return std::make_unique<NpyRows>(input.path);
  }
  if (extension == ".csv" || extension == ".txt") return std::make_unique<TableRows>(input, ',');
  if (extension == ".tsv") return std::make_unique<TableRows>(input, '\t');
  throw config_error("{}: unknown kind of file; expects one that ends in .npy, .csv, .txt or .tsv{}", input.path,
                     extension == ".npz" ? "; a .npz holds several arrays: save each with numpy.save" : "");
}

Shape row_shape_of(const ArrayInput& input, const RowReader& rows) {
  const Shape found = rows.row_shape();
  if (found.count() <= 0) throw data_error("{} has rows without values", input.path);
  if (input.row_shape.empty()) return found;
  const Shape wanted(input.row_shape);
  if (wanted.count() != found.count() ||
      std::any_of(input.row_shape.begin(), input.row_shape.end(), [](int64_t extent) { return extent < 1; })) {
    throw config_error("rows of {} have {} values: they cannot take the shape {}", input.path, found.count(),
                       wanted.text());
  }
  return wanted;
}

int64_t copy_rows(const ArrayInput& input, Hdf5File& file, const std::function<void(int64_t, int64_t)>& progress) {
  const std::unique_ptr<RowReader> rows = open_rows(input);
  const Shape shape = row_shape_of(input, *rows);
  Hdf5Appender dataset(file, input.dataset, shape);
  const int64_t slab = std::max<int64_t>(1, kSlabBytes / (shape.count() * static_cast<int64_t>(sizeof(float))));
  std::vector<float> values(static_cast<size_t>(slab * shape.count()));
  while (const int64_t count = rows->read(slab, values.data())) {
    dataset.append(values.data(), count);
    if (progress) progress(dataset.rows(), rows->total());
  }
  return dataset.rows();
}

}  // namespace

int64_t convert_arrays_to_hdf5(const ArraysToHdf5& request, const ConvertProgress& progress) {
  if (request.inputs.empty()) throw config_error("nothing to convert: name at least one array");
  std::set<std::string> names;
  for (const ArrayInput& input : request.inputs) {
    if (input.dataset.empty()) throw config_error("{}: the name of its dataset is missing", input.path);
    if (!names.insert(input.dataset).second) throw config_error("two arrays have the dataset name '{}'", input.dataset);
  }
  const std::string list = request.list.empty() ? request.target + ".txt" : request.list;
  refuse_existing(request.target);
  refuse_existing(list);
  const std::string target = fs::absolute(request.target).lexically_normal().string();
  if (target.find_first_of(" \t\r\n") != std::string::npos) {
    throw config_error("'{}' has a space in it: names in the list of HDF5 files are separated by spaces", target);
  }

  AtomicFile place(target, 0, Existing::kKept), list_file(list, 0, Existing::kKept);
  Hdf5File file = Hdf5File::create(place.temporary_path(), target);
  int64_t rows = 0;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    const ArrayInput& input = request.inputs[i];
    const int64_t count = copy_rows(input, file, progress);
    if (i > 0 && count != rows) {
      throw data_error("{} has {} rows but {} has {}: the numbers must be equal", request.inputs[0].path,
                       format_count(rows), input.path, format_count(count));
    }
    rows = count;
  }
  if (rows == 0) throw data_error("{} has no rows", request.inputs[0].path);
  file.close();
  place.commit();
  const std::string line = target + "\n";
  list_file.write(line.data(), line.size());
  list_file.commit();
  return rows;
}

}  // namespace trainer
