// Recognizes data sets, counts them and divides them into parts for training and testing.
#include "cli/project_data.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "cli/labelled_table.h"
#include "data/feeds/image_folder.h"
#include "data/feeds/image_list.h"
#include "data/pictures/formats/image_format.h"
#include "data/pictures/image_file_reader.h"
#include "formats/atomic_file.h"
#include "formats/hdf5_file.h"
#include "report/log.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr double kTestPart = 0.2;
constexpr int64_t kSampledPictures = 64, kSampledMasks = 200;
constexpr int kNoClass = 255;  // of a mask
constexpr const char* kForms =
    "give a folder with a folder of pictures for each class, a folder with images/ and masks/, a list of pictures "
    "(.txt), a table (.csv) or an HDF5 file with the datasets data and label";

std::string absolute(const fs::path& path) { return fs::absolute(path).lexically_normal().string(); }

// A fifth of the records, at least one, selected by the digests of their keys.
std::vector<bool> test_part(const std::vector<std::string>& keys) {
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<std::array<uint32_t, 8>> digests;
  for (const std::string& key : keys) digests.push_back(sha256(key));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return digests[a] < digests[b]; });
  std::vector<bool> tested(keys.size());
  const size_t count = std::max<size_t>(1, static_cast<size_t>(static_cast<double>(keys.size()) * kTestPart));
  for (size_t i = 0; i < std::min(count, order.size()); ++i) tested[order[i]] = true;
  return tested;
}

// The file or folder in `folder` whose name, without regard to case, says that it is for training or testing; "" if
// there is none.
std::string part_in(const fs::path& folder, bool test, const std::string& extension) {
  const std::vector<std::string> stems = test
                                             ? std::vector<std::string>{"test", "testing", "val", "valid", "validation"}
                                             : std::vector<std::string>{"train", "training"};
  for (const std::string& stem : stems) {
    std::vector<std::string> paths;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      std::error_code absent;
      const bool kind = extension.empty() ? entry.is_directory(absent) : entry.is_regular_file(absent);
      if (kind && lower(entry.path().filename().string()) == stem + extension) paths.push_back(entry.path().string());
    }
    if (!paths.empty()) return *std::ranges::min_element(paths);
  }
  return "";
}

class DataView {
 public:
  DataView(const std::string& path, const std::string& task, const std::string& folder)
      : path_(absolute(path)), folder_(folder), task_(task) {
    while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
  }

  ProjectData look() {
    std::error_code absent;
    if (!fs::exists(path_, absent)) throw data_error("there are no data {}: {}", path_, kForms);
    if (fs::is_directory(path_, absent)) {
      look_at_folder();
    } else {
      look_at_file(path_, "");
    }
    return std::move(data_);
  }

 private:
  void set_task(ProjectTask task, const char* content) {
    const char* const names[] = {"classify", "regress", "segment"};
    const char* name = names[static_cast<int>(task)];
    if (!task_.empty() && task_ != name)
      throw data_error("--task={}: {} has {}, which is for --task={}", task_, path_, content, name);
    data_.task = task;
  }

  void look_at_folder() {
    for (const char* extension : {".h5", ".txt", ".csv"}) {
      const std::string train = part_in(path_, false, extension), test = part_in(path_, true, extension);
      if (!train.empty() && !test.empty()) return look_at_file(train, test);
    }
    const fs::path images = fs::path(path_) / "images", masks = fs::path(path_) / "masks";
    if (fs::is_directory(images) && fs::is_directory(masks)) return look_at_masks(images, masks);
    look_at_classes(part_in(path_, false, ""), part_in(path_, true, ""));
  }

  // `test` is "" if the file has all records.
  void look_at_file(const std::string& train, const std::string& test) {
    const std::string extension = lower(fs::path(train).extension().string());
    if (extension == ".csv" || extension == ".tsv") {
      look_at_table(train, test);
    } else if (Hdf5File::has_signature(train)) {
      look_at_hdf5(train, test);
    } else if (extension == ".txt") {
      look_at_list(train, test);
    } else {
      throw data_error("{} is not a supported kind of data: {}", train, kForms);
    }
  }

  // Folders of classes.

  void look_at_classes(const std::string& train, const std::string& test) {
    set_task(ProjectTask::kClassify, "folders of classes");
    const bool parts = !train.empty() && !test.empty();
    ImageFolderOptions options;
    if (!parts) options.validation_fraction = data_.validation_fraction = kTestPart;
    data_.train = parts ? train : path_;
    data_.test = parts ? test : path_;
    const ImageList trained = read_image_folder(data_.train, options, {});
    data_.classes = trained.class_names();
    if (parts) {
      options.class_names = data_.classes;
      options.class_names_file = train;
    }
    options.validation = true;
    const ImageList tested = read_image_folder(data_.test, options, {});
    if (data_.classes.size() < 2 && !parts && !(train.empty() && test.empty()))
      throw data_error(
          "{} has a part for {} only: add the other part, or give --data={}, of which a fifth is for tests then", path_,
          train.empty() ? "tests" : "training", train.empty() ? test : train);
    if (data_.classes.size() < 2)
      throw data_error("{} has one class only, {}: a net cannot learn to tell classes. {}", data_.train,
                       data_.classes[0], kForms);
    count(trained, tested);
    data_.outputs = static_cast<int64_t>(data_.classes.size());
  }

  void count(const ImageList& train, const ImageList& test) {
    data_.train_records = static_cast<int64_t>(train.size());
    data_.test_records = static_cast<int64_t>(test.size());
    sample(train);
  }

  // The sizes of some pictures, evenly spaced.
  void sample(const ImageList& list) {
    ImageReading reading;
    reading.mode = ColorMode::kAsStored;
    ImageFileReader reader(reading);
    std::vector<int64_t> sides;
    const auto size = static_cast<int64_t>(list.size()), sampled = std::min(size, kSampledPictures);
    data_.color = false;
    for (int64_t i = 0; i < sampled; ++i) {
      const auto index = static_cast<uint64_t>(size * i / sampled);
      try {
        const ItemShape shape = reader.shape(list.file(index));
        data_.color = data_.color || shape.channels > 1;
        sides.push_back(std::min(shape.height, shape.width));
      } catch (const Error& error) {
        throw data_error("{}: {}", list.describe(index), error.what());
      }
    }
    std::sort(sides.begin(), sides.end());
    data_.side = sides[sides.size() / 2];
  }

  // Lists.

  // What the first line says.
  LabelKind kind_of(const std::string& file) const {
    if (task_ == "segment") return caffe::ImageDataParameter::MASK;
    if (task_ == "regress") return caffe::ImageDataParameter::VALUES;
    if (task_ == "classify") return caffe::ImageDataParameter::CLASS;
    std::ifstream in(file);
    skip_byte_order_mark(in);
    std::string line;
    while (std::getline(in, line) && trim(line).empty()) continue;
    line = trim(line);
    const std::string last = line.substr(line.find_last_of(" \t") + 1);
    if (is_image_name(last) && last != line) return caffe::ImageDataParameter::MASK;
    if (last.find_first_not_of("0123456789") == std::string::npos) {
      const std::string before = trim(line.substr(0, line.size() - last.size()));
      if (is_image_name(before)) return caffe::ImageDataParameter::CLASS;
    }
    return last.find_first_not_of("+-.0123456789eE") == std::string::npos ? caffe::ImageDataParameter::VALUES
                                                                          : caffe::ImageDataParameter::CLASS;
  }

  void look_at_list(const std::string& train, const std::string& test) {
    const LabelKind kind = kind_of(train);
    data_.task = kind == caffe::ImageDataParameter::MASK     ? ProjectTask::kSegment
                 : kind == caffe::ImageDataParameter::VALUES ? ProjectTask::kRegress
                                                             : ProjectTask::kClassify;
    ImageList all = read_image_list(train, "", kind);
    const std::string first(all.path(0));
    if (!fs::path(first).is_absolute()) {
      // The folder of the list, or the working folder.
      const std::string beside = fs::path(train).parent_path().string() + "/";
      data_.root_folder = fs::exists(beside + first) ? beside : absolute(".") + "/";
      all = read_image_list(train, data_.root_folder, kind);
    }
    std::optional<ImageList> tested;
    if (test.empty()) {
      divide(all);
    } else {
      data_.train = train;
      data_.test = test;
      tested = read_image_list(test, data_.root_folder, kind);
      data_.train_records = static_cast<int64_t>(all.size());
      data_.test_records = static_cast<int64_t>(tested->size());
    }
    sample(all);
    if (kind == caffe::ImageDataParameter::VALUES) {
      data_.outputs = static_cast<int64_t>(all.label_values());
      std::vector<double> values;
      for (uint64_t i = 0; i < all.size(); ++i) values.insert(values.end(), all.label(i).begin(), all.label(i).end());
      measure_values(values);
    } else if (kind == caffe::ImageDataParameter::MASK) {
      data_.outputs = mask_classes(all);
      name_classes(fs::path(train).parent_path());
    } else {
      int64_t last = 0;
      for (uint64_t i = 0; i < all.size(); ++i) last = std::max(last, static_cast<int64_t>(all.label(i)[0]));
      data_.outputs = last + 1;
      name_classes(fs::path(train).parent_path());
    }
    if (tested) check_test_list(*tested, train);
  }

  void check_test_list(const ImageList& tested, const std::string& train) {
    if (data_.task == ProjectTask::kRegress && static_cast<int64_t>(tested.label_values()) != data_.outputs)
      throw data_error("{} has {} values in each line, but {} has {}: give both the same number", tested.source(),
                       tested.label_values(), train, data_.outputs);
    if (data_.task == ProjectTask::kSegment) {
      if (const int64_t classes = mask_classes(tested); classes > data_.outputs)
        throw data_error("the masks of {} have the class {}, but those of {} have the classes 0 to {}", tested.source(),
                         classes - 1, train, data_.outputs - 1);
      return;
    }
    std::vector<double> labels;
    for (uint64_t i = 0; i < tested.size(); ++i) labels.push_back(tested.label(i)[0]);
    check_test_labels(labels, train, [&](size_t i) { return tested.describe(i); });
  }

  // The mean and the deviation of each value of a label; `values` has one label after the other.
  void measure_values(std::span<const double> values) {
    const auto outputs = static_cast<size_t>(data_.outputs);
    const size_t labels = values.size() / outputs;
    const auto count = static_cast<double>(labels);
    std::vector<double> means(outputs), squares(outputs);
    for (size_t i = 0; i < values.size(); ++i) means[i % outputs] += values[i] / count;
    for (size_t i = 0; i < values.size(); ++i) {
      const double difference = values[i] - means[i % outputs];
      squares[i % outputs] += difference * difference / count;
    }
    for (size_t i = 0; i < outputs; ++i) data_.scales.push_back({means[i], std::sqrt(squares[i])});
  }

  // Writes the lines of a list into train.txt and test.txt.
  void divide(const ImageList& list) {
    if (list.size() < 2) throw data_error("{} has one record only: at least two are needed", list.source());
    std::vector<std::string> lines, keys;
    std::ifstream in(list.source());
    skip_byte_order_mark(in);
    for (std::string line; std::getline(in, line);) {
      line.erase(line.find_last_not_of(" \t\r") + 1);
      if (!line.empty()) lines.push_back(line);
    }
    for (uint64_t i = 0; i < list.size(); ++i) keys.emplace_back(list.path(i));
    divide_lines(lines, keys);
  }

  void divide_lines(const std::vector<std::string>& lines, const std::vector<std::string>& keys) {
    const std::vector<bool> tested = test_part(keys);
    std::string texts[2];
    for (size_t i = 0; i < lines.size(); ++i) {
      texts[tested[i]] += lines[i] + '\n';
      ++(tested[i] ? data_.test_records : data_.train_records);
    }
    add_file("train.txt", texts[0]);
    add_file("test.txt", texts[1]);
    data_.train = folder_ + "/train.txt";
    data_.test = folder_ + "/test.txt";
  }

  void add_file(const std::string& name, const std::string& text) {
    data_.files.push_back({name, [text](const std::string& path) { write_file(path, text, Existing::kKept); }});
  }

  // Names of labels.txt in the folder of the data, else numbers.
  void name_classes(const fs::path& folder) {
    const std::string file = (folder / "labels.txt").string();
    if (fs::exists(file)) {
      data_.classes = read_class_names(file);
      if (static_cast<int64_t>(data_.classes.size()) < data_.outputs)
        throw data_error("{} has {} names, but the data have {} classes: add the missing names", file,
                         data_.classes.size(), data_.outputs);
      data_.outputs = static_cast<int64_t>(data_.classes.size());
    } else {
      for (int64_t i = 0; i < data_.outputs; ++i) data_.classes.push_back(fmt::format("{}", i));
    }
    if (data_.outputs < 2) throw data_error("{} has one class only: a net cannot learn to tell classes", path_);
  }

  // Masks.

  void look_at_masks(const fs::path& images, const fs::path& masks) {
    set_task(ProjectTask::kSegment, "images and masks");
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(images)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with('.') && is_image_name(name)) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    if (names.size() < 2)
      throw data_error("{} has {}: at least two are needed", images.string(),
                       names.empty() ? "no images" : "one image");
    std::vector<std::string> lines;
    ImageList list(path_, "");
    for (const std::string& name : names) {
      const std::string image = (images / name).string();
      const std::string mask = (masks / name).replace_extension(".png").string();
      if (!fs::exists(mask)) throw data_error("{} has no mask {}: add it, or move the image", image, mask);
      lines.push_back(image + '\t' + mask);
      list.add_with_mask(image, mask, 0);
    }
    divide_lines(lines, names);
    sample(list);
    data_.outputs = mask_classes(list);
    name_classes(path_);
  }

  // One more than the largest class of some masks, evenly spaced.
  int64_t mask_classes(const ImageList& list) {
    ImageDecoder decoder;
    std::string bytes;
    int largest = 0;
    const auto size = static_cast<int64_t>(list.size()), sampled = std::min(size, kSampledMasks);
    for (int64_t i = 0; i < sampled; ++i) {
      const auto index = static_cast<uint64_t>(size * i / sampled);
      const std::string file = list.mask_file(index);
      PixelView mask;
      try {
        read_image_file(file, bytes, "mask");
        mask = decoder.decode(bytes, ColorMode::kIndices);
      } catch (const Error& error) {
        throw data_error("{}, mask {}: {}", list.describe(index), file, error.what());
      }
      for (int64_t p = 0; p < mask.shape.count(); ++p) {
        if (mask.bytes[p] != kNoClass) largest = std::max(largest, static_cast<int>(mask.bytes[p]));
      }
    }
    if (sampled < size)
      log_info(fmt::format("The number of classes, {}, is that of {} masks of {}", largest + 1, sampled, size));
    return largest + 1;
  }

  // Tables.

  void look_at_table(const std::string& train, const std::string& test) {
    const LabelledTable table = read_labelled_table(train);
    count_labels(table.labels());
    const std::vector<int64_t> row = {static_cast<int64_t>(table.columns) - 1};
    if (test.empty()) return add_rows(table.values(), table.labels(), row);
    LabelledTable tested = read_labelled_table(test);
    match_columns(table, &tested);
    const std::vector<float> labels = tested.labels();
    check_test_labels(labels, train, [&](size_t i) { return fmt::format("{}, line {}", test, tested.lines[i]); });
    add_part("train", table.values(), table.labels(), row);
    add_part("test", tested.values(), labels, row);
    data_.train_records = static_cast<int64_t>(table.rows.size());
    data_.test_records = static_cast<int64_t>(tested.rows.size());
  }

  // Throws if a test label is not a class of the training data. `place` names a record.
  template <typename Label>
  void check_test_labels(const std::vector<Label>& labels, const std::string& train,
                         const std::function<std::string(size_t)>& place) const {
    if (data_.task != ProjectTask::kClassify) return;
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto label = static_cast<double>(labels[i]);
      if (label >= 0 && label < static_cast<double>(data_.outputs) && label == std::floor(label)) continue;
      throw data_error(
          "{}: the label {} is not a class of {}, which has the classes 0 to {}: correct it, or add records", place(i),
          label, train, data_.outputs - 1);
    }
  }

  void look_at_hdf5(const std::string& train, const std::string& test) {
    const Hdf5File file = Hdf5File::open(train);
    for (const char* name : {"data", "label"}) {
      if (!file.has_dataset(name))
        throw data_error("{} has no dataset {}: it needs data and label, with a row for each record", train, name);
    }
    const Shape shape = file.dataset("data").shape, labels = file.dataset("label").shape;
    if (shape.rank() < 2 || shape.rank() > 3 || labels.count() != shape[0])
      throw data_error("{}: data are {} and label is {}: give N x D or N x T x D, and one label for each of N", train,
                       shape.text(), labels.text());
    if (shape[0] < 2) throw data_error("{} has one row only: at least two are needed", train);
    if (shape.rank() == 3 && shape[1] < 2)
      throw data_error("{}: data are {}, sequences of one row: give N x D", train, shape.text());
    const std::vector<int64_t> row(shape.dims().begin() + 1, shape.dims().end());
    const std::vector<float> values = file.read_floats("label");
    count_labels(values);
    if (test.empty()) return add_rows(file.read_floats("data"), values, row);
    const Hdf5File tested = Hdf5File::open(test);
    check_test_rows(tested, test, train, shape);
    check_test_labels(tested.read_floats("label"), train,
                      [&](size_t i) { return fmt::format("{}, row {} of label", test, i); });
    data_.row = row;
    data_.train_records = shape[0];
    data_.test_records = tested.dataset("label").shape[0];
    add_list("train", train);
    add_list("test", test);
  }

  // Throws unless the rows of the test file are as those of the training file.
  static void check_test_rows(const Hdf5File& file, const std::string& test, const std::string& train,
                              const Shape& trained) {
    for (const char* name : {"data", "label"}) {
      if (!file.has_dataset(name)) throw data_error("{} has no dataset {}, but {} has", test, name, train);
    }
    const Shape shape = file.dataset("data").shape, labels = file.dataset("label").shape;
    if (shape.rank() != trained.rank() || shape.count(1) != trained.count(1) ||
        (shape.rank() == 3 && shape[1] != trained[1]))
      throw data_error("{}: data are {}, but those of {} are {}: all extents after the first must be equal", test,
                       shape.text(), train, trained.text());
    if (labels.count() != shape[0])
      throw data_error("{}: data are {} and label is {}: give one label for each of {} rows", test, shape.text(),
                       labels.text(), shape[0]);
  }

  // Whole numbers from 0 are classes; other numbers are values.
  void count_labels(const std::vector<float>& labels) {
    data_.rows = true;
    const float largest = *std::max_element(labels.begin(), labels.end());
    constexpr float kMostClasses = 1000;
    const bool classes = largest < kMostClasses && std::all_of(labels.begin(), labels.end(), [](float label) {
                           return label >= 0 && label == std::floor(label);
                         });
    if (task_ == "segment") throw data_error("--task=segment: {} has rows, not pictures with masks", path_);
    if (task_ == "classify" && !classes)
      throw data_error("{}: classes are whole numbers from 0 to {}; for other labels use --task=regress", path_,
                       kMostClasses - 1);
    if (!classes || task_ == "regress") {
      data_.task = ProjectTask::kRegress;
      data_.outputs = 1;
      return measure_values(std::vector<double>(labels.begin(), labels.end()));
    }
    data_.outputs = static_cast<int64_t>(largest) + 1;
    name_classes(fs::path(path_).parent_path());
  }

  void add_rows(const std::vector<float>& values, const std::vector<float>& labels, const std::vector<int64_t>& row) {
    std::vector<std::string> keys;
    for (size_t i = 0; i < labels.size(); ++i) keys.push_back(fmt::format("{}", i));
    const std::vector<bool> tested = test_part(keys);
    const size_t each = values.size() / labels.size();
    std::vector<float> parts[2], part_labels[2];
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto begin = values.begin() + static_cast<int64_t>(i * each);
      parts[tested[i]].insert(parts[tested[i]].end(), begin, begin + static_cast<int64_t>(each));
      part_labels[tested[i]].push_back(labels[i]);
    }
    data_.train_records = static_cast<int64_t>(part_labels[0].size());
    data_.test_records = static_cast<int64_t>(part_labels[1].size());
    add_part("train", std::move(parts[0]), std::move(part_labels[0]), row);
    add_part("test", std::move(parts[1]), std::move(part_labels[1]), row);
  }

  // An HDF5 file of this name, and its list.
  void add_part(const std::string& name, std::vector<float> values, std::vector<float> labels,
                const std::vector<int64_t>& row) {
    data_.row = row;
    data_.files.push_back(
        {name + ".h5", [values = std::move(values), labels = std::move(labels), row](const std::string& path) {
           AtomicFile file(path, static_cast<int64_t>(values.size() * sizeof(float)), Existing::kKept);
           Hdf5File out = Hdf5File::create(file.temporary_path(), path);
           std::vector<int64_t> extents = row;
           extents.insert(extents.begin(), static_cast<int64_t>(labels.size()));
           out.write_floats("data", Shape(extents), values.data());
           out.write_floats("label", Shape{extents[0]}, labels.data());
           out.close();
           file.commit();
         }});
    add_list(name, folder_ + "/" + name + ".h5");
  }

  void add_list(const std::string& name, const std::string& file) {
    add_file(name + ".h5.txt", file + "\n");
    (name == "train" ? data_.train : data_.test) = folder_ + "/" + name + ".h5.txt";
  }

  std::string path_;
  const std::string folder_, task_;
  ProjectData data_;
};

}  // namespace

ProjectData look_at_data(const std::string& path, const std::string& task, const std::string& folder) {
  return DataView(path, task, folder).look();
}

}  // namespace trainer
