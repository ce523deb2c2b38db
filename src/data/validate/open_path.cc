// Makes the data layer that reads a path.
#include "data/validate/open_path.h"

#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/text.h"
#include "config/positions.h"
#include "data/data_source.h"
#include "data/feeds/hdf5_feed.h"
#include "data/feeds/image_list.h"
#include "data/pictures/formats/image_format.h"
#include "data/records/database_folder.h"
#include "formats/hdf5_file.h"
#include "formats/input_file.h"
#include "formats/npy.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

bool ends_with(const std::string& text, std::string_view end) { return lower(text).ends_with(end); }

// The first line with anything but a comment; "" if there is none.
std::string first_line(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  skip_byte_order_mark(in);
  std::string line;
  while (std::getline(in, line)) {
    line = trim(line);
    if (!line.empty() && line.front() != '#') return line;
  }
  return "";
}

// Whether the line begins with the name of a field and ":" or "{".
bool begins_prototxt(const std::string& line) {
  size_t end = 0;
  while (end < line.size() && (std::isalnum(static_cast<unsigned char>(line[end])) != 0 || line[end] == '_')) ++end;
  const size_t mark = line.find_first_not_of(" \t", end);
  return end > 0 && mark != std::string::npos && (line[mark] == ':' || line[mark] == '{');
}

bool is_number(std::string_view word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return !word.empty() && error == std::errc() && end == word.data() + word.size();
}

// By the first line of a list.
LabelKind label_kind(const std::string& line) {
  const size_t blank = line.find_last_of(" \t");
  const std::string_view last = std::string_view(line).substr(blank == std::string::npos ? 0 : blank + 1);
  if (!is_number(last)) return caffe::ImageDataParameter::MASK;
  const std::string before = blank == std::string::npos ? "" : trim(line.substr(0, blank));
  const size_t other = before.find_last_of(" \t");
  const bool several = other != std::string::npos && is_number(std::string_view(before).substr(other + 1));
  const bool whole = last.find_first_not_of("+-0123456789") == std::string_view::npos;
  return whole && !several ? caffe::ImageDataParameter::CLASS : caffe::ImageDataParameter::VALUES;
}

// The folder before the paths of a list: "" or the folder of the list.
std::string root_of(const std::string& list_file, LabelKind kind) {
  const ImageList list = read_image_list(list_file, "", kind);
  const std::string folder = fs::path(list_file).parent_path().string();
  std::error_code absent;
  if (folder.empty() || fs::exists(list.file(0), absent)) return "";
  return fs::exists(folder + "/" + list.file(0), absent) ? folder + "/" : "";
}

std::unique_ptr<BatchFeed> open_layer(const caffe::LayerParameter& layer, const LogLine& log) {
  StreamOptions options;
  options.phase = caffe::TEST;
  options.in_order = true;
  options.log = log;
  Diagnostics problems;
  std::unique_ptr<BatchFeed> feed = open_feed(layer, options, Positions(), &problems);
  for (const Diagnostic& problem : problems.list()) {
    if (problem.severity == Diagnostic::kError)
      throw Error(problem.code, problem.message + (problem.hint.empty() ? "" : "; " + problem.hint));
  }
  return feed;
}

std::unique_ptr<BatchFeed> open_folder(const std::string& path, caffe::LayerParameter layer, const LogLine& log) {
  const DatabaseKind kind = database_kind(path);
  if (kind == DatabaseKind::kNone) {
    layer.set_type("ImageData");
    layer.mutable_image_data_param()->set_source(path);
    layer.mutable_image_data_param()->set_batch_size(1);
    return open_layer(layer, log);
  }
  layer.set_type("Data");
  caffe::DataParameter* param = layer.mutable_data_param();
  param->set_source(path);
  param->set_batch_size(1);
  param->set_backend(kind == DatabaseKind::kLmdb ? caffe::DataParameter::LMDB : caffe::DataParameter::LEVELDB);
  return open_layer(layer, log);
}

std::unique_ptr<BatchFeed> open_image_list(const std::string& path, caffe::LayerParameter layer, const LogLine& log) {
  layer.set_type("ImageData");
  caffe::ImageDataParameter* param = layer.mutable_image_data_param();
  param->set_source(path);
  param->set_batch_size(1);
  param->set_label_kind(label_kind(first_line(path)));
  param->set_root_folder(root_of(path, param->label_kind()));
  return open_layer(layer, log);
}

std::unique_ptr<BatchFeed> open_npy(const std::string& path, caffe::LayerParameter layer, const LogLine& log) {
  const Shape shape = NpyFile(path).shape();
  const bool pictures = shape.rank() == 4;
  layer.set_type("MemoryData");
  caffe::MemoryDataParameter* param = layer.mutable_memory_data_param();
  param->set_source(path);
  param->set_batch_size(1);
  param->set_channels(static_cast<uint32_t>(pictures ? shape[1] : 1));
  param->set_height(static_cast<uint32_t>(pictures ? shape[2] : 1));
  param->set_width(static_cast<uint32_t>(pictures ? shape[3] : shape.rank() > 0 ? shape.count(1) : 1));
  return open_layer(layer, log);
}

std::unique_ptr<BatchFeed> open_hdf5(const std::vector<std::string>& files, const std::string& source) {
  const Hdf5File first = Hdf5File::open(files.front());
  std::vector<std::string> datasets;
  for (const std::string& name : first.children("")) {
    if (first.has_dataset(name) && first.dataset(name).is_number()) datasets.push_back(name);
  }
  if (datasets.empty()) throw data_error("{} has no dataset of numbers", files.front());
  return make_hdf5_feed(1, Hdf5Rows(files, source, datasets, false, 0));
}

}  // namespace

PathKind kind_of_path(const std::string& path) {
  std::error_code absent;
  if (fs::is_directory(path, absent)) return PathKind::kDataSet;
  const InputFile file(path, "file or folder");
  if (is_image_name(path))
    throw data_error("{} is a single image: name a list of images, or a folder with a folder of images for each class",
                     path);
  if (ends_with(path, ".caffemodel") || ends_with(path, ".caffemodel.h5") || ends_with(path, ".safetensors.index.json"))
    return PathKind::kWeights;
  if (ends_with(path, ".solverstate") || ends_with(path, ".solverstate.h5")) return PathKind::kSolverState;
  if (ends_with(path, ".binaryproto")) return PathKind::kMeanImage;
  if (Hdf5File::has_signature(path)) {
    const Hdf5File opened = Hdf5File::open(path);
    if (opened.has_group("data")) return PathKind::kWeights;
    return opened.has_dataset("learned_net") ? PathKind::kSolverState : PathKind::kDataSet;
  }
  if (ends_with(path, ".npy")) return PathKind::kDataSet;
  if (file.size() == 0) throw data_error("{} is empty", path);
  if (!file.looks_like_text()) return PathKind::kWeights;
  return begins_prototxt(first_line(path)) ? PathKind::kPrototxt : PathKind::kDataSet;
}

std::unique_ptr<BatchFeed> open_data_path(const std::string& path, const LogLine& log) {
  caffe::LayerParameter layer;
  layer.set_name(path);
  layer.add_top("data");
  layer.add_top("label");
  std::error_code absent;
  if (fs::is_directory(path, absent)) return open_folder(path, layer, log);
  if (Hdf5File::has_signature(path)) return open_hdf5({path}, path);
  if (ends_with(path, ".npy")) return open_npy(path, layer, log);
  const std::string line = first_line(path);
  if (Hdf5File::has_signature(line.substr(0, line.find_first_of(" \t")))) return open_hdf5(read_hdf5_list(path), path);
  return open_image_list(path, layer, log);
}

}  // namespace trainer
