// MemoryData: batches of the items of an HDF5 or .npy file, transformed by transform_param. In Caffe, the program that
// embeds the net supplies the items.
//   top 0  (batch_size, channels, height, width), after the transformation
//   top 1  labels (batch_size); (batch_size, classes) if batches are mixed
// A record is one row: the label, then the values of the item.
#include <filesystem>
#include <optional>

#include "base/text.h"
#include "data/data_source.h"
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
  std::string content() override {
    return fmt::format("{} rows of {}", format_count(shape_[0]),
                       printable(std::filesystem::path(path_).filename().string()));
  }
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
  PixelView decode(const Record& record, PartChoice& choice, float* label) override {
    choice.choose(shape_);
    const auto* values = reinterpret_cast<const float*>(record.value.data());
    *label = values[0];
    PixelView view;
    view.shape = shape_;
    view.floats = values + 1;
    return view;
  }

 private:
  ItemShape shape_;
};

ItemShape item(const caffe::LayerParameter& layer) {
  const caffe::MemoryDataParameter& param = layer.memory_data_param();
  return {param.channels(), param.height(), param.width()};
}

std::unique_ptr<ArraySource> source_of(const caffe::LayerParameter& layer) {
  return std::make_unique<ArraySource>(layer.memory_data_param().source(), layer.top(0), layer.top(1));
}

// An item's extents: C,H,W of the file; if its rows have another rank, those of the layer.
ItemShape item_shape(const Shape& file, const ItemShape& wanted) {
  if (file.rank() == 4) return {file[1], file[2], file[3]};
  if (file.count(1) == wanted.count()) return wanted;
  return {file.count(1), 1, 1};
}

void check(SourceContext& context) {
  const caffe::LayerParameter& layer = context.layer();
  context.require("memory_data_param.source",
                  fmt::format("no program supplies items here: name an HDF5 file with data sets named as the tops, or "
                              "a .npy file, in memory_data_param.source, or with --set "
                              "'layer[{}].memory_data_param.source=FILE'",
                              layer.name()));
  for (const char* field : {"batch_size", "channels", "height", "width"})
    context.require(fmt::format("memory_data_param.{}", field), "give batch_size, channels, height and width");
  check_transform(context);
  check_mix(context, false);
  for (const caffe::AugmentStep& step : layer.transform_param().augment()) {
    const StepType* type = find_step_type(step);
    if (type != nullptr && type->target == StepTarget::kPixels)
      context.error_in(
          step, type->field, fmt::format("MemoryData gives floats, but {} changes 8-bit pixels", type->field),
          "use crops, flips, normalize and erase, or make a database of the images with `trainer convert`");
  }
}

void check_item(SourceContext& context, const Transformer& transformer, const ArraySource& source,
                const ItemShape& item, const ItemShape& wanted) {
  const ItemShape given = transformer.output_shape(item);
  if (given == wanted) return;
  const caffe::TransformationParameter& param = context.layer().transform_param();
  const char* field = param.crop_size() > 0 ? "crop_size" : param.augment_size() > 0 ? "augment" : nullptr;
  const std::string changed = field == nullptr ? "" : fmt::format(" after {} ({} before)", field, item.text());
  throw data_error(
      "{} gives items of {}{}, but memory_data_param says {}. Correct channels, height and width, or the file",
      source.path(), given.text(), changed, wanted.text());
}

void check_labels(SourceContext& context, const ArraySource& source) {
  if (source.has_labels()) return;
  const std::string &data = context.layer().top(0), &label = context.layer().top(1);
  if (context.options().phase == caffe::TRAIN && !context.options().in_order) {
    throw data_error(
        "{} has no labels to train on: make an HDF5 file of both, e.g. `trainer convert hdf5 {}={} {}=LABELS.npy "
        "train.h5`",
        source.path(), data, source.path(), label);
  }
  context.warning("memory_data_param.source", fmt::format("{} has no labels: all are 0", source.path()),
                  fmt::format("an HDF5 file can have datasets \"{}\" and \"{}\"", data, label));
}

std::unique_ptr<BatchFeed> open(SourceContext& context) {
  const caffe::LayerParameter& layer = context.layer();
  const caffe::MemoryDataParameter& param = layer.memory_data_param();
  const ItemShape wanted = item(layer);
  Transformer transformer(context);
  std::unique_ptr<ArraySource> source = source_of(layer);
  const ItemShape stored = item_shape(source->shape(), wanted);
  check_item(context, transformer, *source, stored, wanted);
  check_labels(context, *source);
  if (source->size() % param.batch_size() != 0 && !context.options().whole_epochs)
    context.warning(
        "memory_data_param.batch_size",
        fmt::format("the {} items of {} are not a multiple of batch_size {}: batches continue with the first items "
                    "after the last one",
                    source->size(), source->path(), param.batch_size()));
  Sampler sampler(source->size(), false, 0);
  PictureFeedSettings settings = picture_settings(context, "memory_data_param", param.batch_size());
  settings.mix = BatchMix::make(context, {});
  return std::make_unique<PictureFeed>(std::move(settings), std::move(source), std::move(sampler),
                                       std::move(transformer),
                                       [stored] { return std::make_unique<ArrayDecoder>(stored); });
}

void probe(const caffe::LayerParameter& layer) { source_of(layer); }

REGISTER_SOURCE(memory_data, .type = "MemoryData", .summary = "batches of the items of an HDF5 or .npy file",
                .min_tops = 2, .max_tops = 2, .source = "memory_data_param.source",
                .batch_size = "memory_data_param.batch_size", .check = check, .open = open, .probe = probe,
                .item = item, .labels = class_labels, .example = R"(
layer { name: "data" type: "MemoryData" top: "data" top: "label"
  transform_param { scale: 0.00390625 }
  memory_data_param { source: "items.h5" batch_size: 16 channels: 1 height: 28 width: 28 } }
)");

}  // namespace
}  // namespace trainer
