// A record is one row: the label, then the values of the item.
#include "data/feeds/array_feed.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"
#include "data/feeds/picture_feed.h"
#include "formats/hdf5_file.h"
#include "formats/npy.h"

namespace trainer {

namespace {

// The items and labels of an HDF5 file, or the items of a .npy file with labels 0.
class ArraySource : public RecordSource {
 public:
  ArraySource(const std::string& path, std::string data, std::string label)
      : data_(std::move(data)), label_(std::move(label)) {
    if (Hdf5File::has_signature(path)) {
      hdf5_.emplace(Hdf5File::open(path));
      shape_ = numbers(data_);
      labels_ = numbers(label_);
      if (labels_.rank() < 1 || labels_.count(1) != 1 || labels_[0] != shape_[0]) {
        throw data_error("{}: dataset \"{}\" has the shape {}: one label for each of the {} items of \"{}\" is needed",
                         hdf5_->path(), label_, labels_.text(), shape_[0], data_);
      }
      path_ = hdf5_->path();
    } else {
      npy_.emplace(path);
      shape_ = npy_->shape();
      path_ = npy_->path();
    }
    if (shape_.rank() < 2) {
      throw data_error("{} has the shape {}: the first axis counts the items, the others are an item's", path_,
                       shape_.text());
    }
    if (shape_[0] == 0) throw data_error("{} has no items", path_);
  }

  bool has_labels() const { return hdf5_.has_value(); }
  const Shape& shape() const { return shape_; }

  const std::string& path() const override { return path_; }
  uint64_t size() const override { return static_cast<uint64_t>(shape_[0]); }
  void read(uint64_t index, Record& record) override {
    record.index = index;
    const auto row = static_cast<int64_t>(index);
    record.storage.resize((static_cast<size_t>(shape_.count(1)) + 1) * sizeof(float));
    auto* values = reinterpret_cast<float*>(record.storage.data());
    values[0] = 0;
    if (hdf5_) {
      hdf5_->read_rows(label_, row, row + 1, values);
      hdf5_->read_rows(data_, row, row + 1, values + 1);
    } else {
      npy_->read_rows(row, row + 1, values + 1);
    }
    record.value = record.storage;
  }
  void read_following(const Record& record, Record& following) override {
    read((record.index + 1) % size(), following);
  }
  std::string content() override {
    return fmt::format("{} rows of {}", format_count(shape_[0]),
                       printable(std::filesystem::path(path_).filename().string()));
  }
  void prepare_random_access(const LogLine&) override {}
  std::string describe(const Record& record) const override { return fmt::format("row {} of {}", record.index, path_); }

 private:
  Shape numbers(const std::string& name) const {
    if (!hdf5_->has_dataset(name)) {
      throw data_error("{} has no dataset \"{}\", the name of a top. It has: {}", hdf5_->path(), name,
                       fmt::join(hdf5_->children(""), ", "));
    }
    const Hdf5DatasetInfo info = hdf5_->dataset(name);
    if (!info.is_number()) {
      throw data_error("{}: dataset \"{}\" holds {}, not numbers", hdf5_->path(), name, name_of(info.kind));
    }
    hdf5_->check_stored(name);
    return info.shape;
  }

  std::string data_, label_, path_;
  std::optional<Hdf5File> hdf5_;
  std::optional<NpyFile> npy_;
  Shape shape_, labels_;
};

class ArrayDecoder : public RecordDecoder {
 public:
  explicit ArrayDecoder(const ItemShape& shape) : shape_(shape) {}

  ItemShape shape(const Record&) override { return shape_; }
  PixelView decode(const Record& record, float& label) override {
    const auto* values = reinterpret_cast<const float*>(record.value.data());
    label = values[0];
    PixelView view;
    view.shape = shape_;
    view.floats = values + 1;
    return view;
  }

 private:
  ItemShape shape_;
};

// An item's extents: C,H,W as the file says, or, for rows of another rank, as the layer does.
ItemShape item_shape(const Shape& file, const ItemShape& wanted) {
  if (file.rank() == 4) return {file[1], file[2], file[3]};
  if (file.count(1) == wanted.count()) return wanted;
  return {file.count(1), 1, 1};
}

}  // namespace

std::unique_ptr<BatchFeed> open_array_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                           std::vector<std::string>& warnings) {
  const caffe::MemoryDataParameter& param = layer.memory_data_param();
  PictureFeedSettings settings;
  settings.layer = fmt::format("layer '{}' (MemoryData)", layer.name());
  settings.message = "memory_data_param";
  settings.batch_size = param.batch_size();
  settings.tops = static_cast<size_t>(layer.top_size());
  settings.can_skip = false;
  check_picture_settings(settings, 2);
  const ItemShape wanted{param.channels(), param.height(), param.width()};
  if (wanted.channels < 1 || wanted.height < 1 || wanted.width < 1) {
    throw config_error("{}: memory_data_param's channels, height and width must be at least 1, not {}", settings.layer,
                       wanted.text());
  }
  if (param.source().empty()) {
    throw config_error(
        "{}: no program hands over its data here: name an HDF5 file with datasets \"{}\" and \"{}\", or a "
        ".npy "
        "file, in memory_data_param.source, or on the command line with --set "
        "'layer[{}].memory_data_param.source=FILE'",
        settings.layer, layer.top(0), layer.top(1), layer.name());
  }
  Transformer transformer(layer.transform_param(), options.phase,
                          philox_key(options.seed, options.net_name, layer.name(), "transform"), settings.layer);
  auto source = std::make_unique<ArraySource>(param.source(), layer.top(0), layer.top(1));
  const ItemShape item = item_shape(source->shape(), wanted);
  const ItemShape given = transformer.output_shape(item);
  if (given != wanted) {
    throw data_error(
        "{}: {} gives items of {}{}, but memory_data_param says {}. Correct channels, height and width, or "
        "the file",
        settings.layer, source->path(), given.text(),
        layer.transform_param().crop_size() > 0 ? fmt::format(" after crop_size ({} before)", item.text()) : "",
        wanted.text());
  }
  if (!source->has_labels()) {
    if (options.phase == caffe::TRAIN) {
      throw data_error(
          "{}: {} has no labels to train on: make an HDF5 file of both, e.g. `trainer convert hdf5 {}={} "
          "{}=LABELS.npy train.h5`",
          settings.layer, source->path(), layer.top(0), source->path(), layer.top(1));
    }
    warnings.push_back(fmt::format("{}: {} has no labels: all are 0. An HDF5 file can have datasets \"{}\" and \"{}\"",
                                   settings.layer, source->path(), layer.top(0), layer.top(1)));
  }
  if (source->size() % param.batch_size() != 0) {
    warnings.push_back(
        fmt::format("{}: the {} items of {} are no multiple of batch_size {}: batches go on with its "
                    "first items after its last",
                    settings.layer, source->size(), source->path(), param.batch_size()));
  }
  Sampler sampler(source->size(), false, 0);
  return std::make_unique<PictureFeed>(std::move(settings), std::move(source), std::move(sampler),
                                       std::move(transformer), [item] { return std::make_unique<ArrayDecoder>(item); });
}

}  // namespace trainer
