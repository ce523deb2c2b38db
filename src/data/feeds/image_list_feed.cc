// A record is a line of the list; its file is read by the worker that decodes it.
#include "data/feeds/image_list_feed.h"

#include <limits>
#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "data/feeds/image_list.h"
#include "data/feeds/picture_feed.h"
#include "data/pictures/image_file_reader.h"
#include "data/pictures/mean_field.h"

namespace trainer {

namespace {

class ImageListSource : public RecordSource {
 public:
  explicit ImageListSource(std::shared_ptr<const ImageList> list) : list_(std::move(list)) {}

  const std::string& path() const override { return list_->file(); }
  uint64_t size() const override { return list_->size(); }
  void read(uint64_t index, Record& record) override {
    record.index = index;
    record.key = list_->path(index);
    record.value = {};
  }
  void read_following(const Record& record, Record& following) override {
    read((record.index + 1) % size(), following);
  }
  std::string content() override { return content_text(size(), list_->path(0), list_->path(size() - 1)); }
  void prepare_random_access(const LogLine&) override {}
  int64_t memory_bytes() const override { return list_->memory_bytes(); }
  std::string describe(const Record& record) const override {
    return fmt::format("{}:{} ({})", list_->file(), list_->line(record.index), record.key);
  }

 private:
  std::shared_ptr<const ImageList> list_;
};

class ImageFileDecoder : public RecordDecoder {
 public:
  // `root` is put before each path as it is.
  ImageFileDecoder(std::shared_ptr<const ImageList> list, std::string root, const ImageReading& reading)
      : list_(std::move(list)), root_(std::move(root)), reader_(reading) {}

  ItemShape shape(const Record& record) override { return reader_.shape(root_ + std::string(record.key)); }
  PixelView decode(const Record& record, float& label) override {
    label = static_cast<float>(list_->label(record.index));
    return reader_.read(root_ + std::string(record.key));
  }

 private:
  std::shared_ptr<const ImageList> list_;
  std::string root_;
  ImageFileReader reader_;
};

void warn_of_ignored(const caffe::ImageDataParameter& param, const std::string& name,
                     std::vector<std::string>& warnings) {
  const std::pair<bool, const char*> moved[] = {{param.has_scale(), "scale"},
                                                {param.has_mean_file(), "mean_file"},
                                                {param.has_crop_size(), "crop_size"},
                                                {param.has_mirror(), "mirror"}};
  for (const auto& [set, field] : moved) {
    if (set) {
      warnings.push_back(fmt::format("{}: image_data_param.{} has no effect, as in Caffe: set transform_param.{}", name,
                                     field, field));
    }
  }
}

ImageReading reading_of(const caffe::ImageDataParameter& param, const std::string& name) {
  constexpr uint32_t kLargestExtent = 32767;
  ImageReading reading;
  if (!param.is_color()) reading.mode = ColorMode::kGray;
  if ((param.new_height() > 0) != (param.new_width() > 0)) {
    throw config_error("{}: image_data_param has new_{} without new_{}: set both, or neither", name,
                       param.new_height() > 0 ? "height" : "width", param.new_height() > 0 ? "width" : "height");
  }
  if (param.new_height() > kLargestExtent || param.new_width() > kLargestExtent) {
    throw config_error("{}: pictures cannot be resized to {}x{}: the most is {}", name, param.new_height(),
                       param.new_width(), kLargestExtent);
  }
  reading.height = static_cast<int>(param.new_height());
  reading.width = static_cast<int>(param.new_width());
  return reading;
}

}  // namespace

std::unique_ptr<BatchFeed> open_image_list_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                                std::vector<std::string>& warnings) {
  const caffe::ImageDataParameter& param = layer.image_data_param();
  PictureFeedSettings settings;
  settings.layer = fmt::format("layer '{}' (ImageData)", layer.name());
  settings.message = "image_data_param";
  settings.batch_size = param.batch_size();
  settings.tops = static_cast<size_t>(layer.top_size());
  settings.skip_bad_records = param.skip_bad_records();
  check_picture_settings(settings, 2);
  if (param.source().empty()) {
    throw config_error(
        "{}: image_data_param.source is missing: a text file with a line \"path label\" for "
        "each picture",
        settings.layer);
  }
  const ImageReading reading = reading_of(param, settings.layer);
  warn_of_ignored(param, settings.layer, warnings);
  if (layer.transform_param().force_color() || layer.transform_param().force_gray()) {
    warnings.push_back(settings.layer +
                       ": force_color and force_gray have no effect here, as in Caffe: set "
                       "image_data_param.is_color");
  }
  Transformer transformer(layer.transform_param(), options.phase,
                          philox_key(options.seed, options.net_name, layer.name(), "transform"), settings.layer);
  const auto list = std::make_shared<const ImageList>(param.source());
  try {
    check_root(*list, param.root_folder());
  } catch (const Error& error) {
    throw FieldError(error, "image_data_param.root_folder");
  }
  uint64_t first = 0;
  if (param.rand_skip() > 0) {
    const PhiloxBlock draw = philox(philox_key(options.seed, options.net_name, layer.name(), "rand_skip"), 0, 0);
    first = (uint64_t{draw[0]} * param.rand_skip()) >> 32;
    if (first >= list->size()) {
      throw config_error("{}: image_data_param.rand_skip is {}, but {} has {} pictures: choose less", settings.layer,
                         param.rand_skip(), param.source(), list->size());
    }
  }
  Sampler sampler(list->size(), param.shuffle(), philox_key(options.seed, options.net_name, layer.name(), "shuffle"),
                  first);
  return std::make_unique<PictureFeed>(
      std::move(settings), std::make_unique<ImageListSource>(list), std::move(sampler), std::move(transformer),
      [list, reading, root = param.root_folder()] { return std::make_unique<ImageFileDecoder>(list, root, reading); });
}

}  // namespace trainer
