// ImageData: batches of image files named in a list, transformed by transform_param.
//   top 0  (batch_size, C, H, W): C is 3 (blue, green, red) or 1 (is_color: false); H and W are new_height and
//          new_width, or the size of the pictures, after the crop of transform_param
//   top 1  labels (batch_size)
// A record is a line of the list; the worker that decodes it reads its file.
#include <algorithm>

#include "base/philox.h"
#include "data/data_source.h"
#include "data/feeds/image_list.h"
#include "data/feeds/picture_feed.h"
#include "data/pictures/image_file_reader.h"

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
  std::string content() override { return content_text(size(), list_->path(0), list_->path(size() - 1)); }
  int64_t memory_bytes() const override { return list_->memory_bytes(); }
  std::string describe(const Record& record) const override {
    return fmt::format("{}:{} ({})", list_->file(), list_->line(record.index), record.key);
  }

 private:
  std::shared_ptr<const ImageList> list_;
};

class ImageFileDecoder : public RecordDecoder {
 public:
  // `root` is put before each path unchanged.
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

void check(SourceContext& context) {
  context.require("image_data_param.source", "give a text file with a line \"path label\" for each image");
  context.require("image_data_param.batch_size", "give the number of images in a batch");
  check_transform(context);
  const caffe::ImageDataParameter& param = context.layer().image_data_param();
  const char* given = param.new_height() > 0 ? "new_height" : "new_width";
  if ((param.new_height() > 0) != (param.new_width() > 0))
    context.error(fmt::format("image_data_param.{}", given),
                  fmt::format("{} without {}", given, param.new_height() > 0 ? "new_width" : "new_height"),
                  "give both, or neither");
  constexpr uint32_t kLargestExtent = 32767;
  if (std::max(param.new_height(), param.new_width()) > kLargestExtent)
    context.error(fmt::format("image_data_param.{}", param.new_height() > kLargestExtent ? "new_height" : "new_width"),
                  fmt::format("images cannot be resized to {}x{}", param.new_height(), param.new_width()),
                  fmt::format("the maximum is {}", kLargestExtent));
  warn_of_moved_fields(context, "image_data_param", {"scale", "mean_file", "crop_size", "mirror"});
  const caffe::TransformationParameter& transform = context.layer().transform_param();
  if (transform.force_color() || transform.force_gray())
    context.warning(transform.force_gray() ? "transform_param.force_gray" : "transform_param.force_color",
                    "force_color and force_gray have no effect here, as in Caffe", "set image_data_param.is_color");
}

uint64_t first_picture(SourceContext& context, uint64_t pictures) {
  const caffe::ImageDataParameter& param = context.layer().image_data_param();
  if (param.rand_skip() == 0) return 0;
  const PhiloxBlock draw = philox(context.random_key("rand_skip"), 0, 0);
  const uint64_t first = (uint64_t{draw[0]} * param.rand_skip()) >> 32;
  if (first >= pictures)
    context.error("image_data_param.rand_skip",
                  fmt::format("rand_skip is {}, but {} has {} images", param.rand_skip(), param.source(), pictures),
                  "choose a smaller value");
  return first;
}

std::unique_ptr<BatchFeed> open(SourceContext& context) {
  const caffe::ImageDataParameter& param = context.layer().image_data_param();
  ImageReading reading;
  if (!param.is_color()) reading.mode = ColorMode::kGray;
  reading.height = static_cast<int>(param.new_height());
  reading.width = static_cast<int>(param.new_width());
  Transformer transformer(context);
  const auto list = std::make_shared<const ImageList>(param.source());
  context.attempt("image_data_param.root_folder", [&] { check_root(*list, param.root_folder()); });
  Sampler sampler(list->size(), param.shuffle(), context.random_key("shuffle"), first_picture(context, list->size()));
  PictureFeedSettings settings = picture_settings(context, "image_data_param", param.batch_size());
  settings.can_skip = true;
  settings.skip_bad_records = param.skip_bad_records();
  return std::make_unique<PictureFeed>(
      std::move(settings), std::make_unique<ImageListSource>(list), std::move(sampler), std::move(transformer),
      [list, reading, root = param.root_folder()] { return std::make_unique<ImageFileDecoder>(list, root, reading); });
}

void probe(const caffe::LayerParameter& layer) { const ImageList list(layer.image_data_param().source()); }

ItemShape item(const caffe::LayerParameter& layer) {
  const caffe::ImageDataParameter& param = layer.image_data_param();
  return item_shape(layer.transform_param(), {param.is_color() ? 3 : 1, param.new_height(), param.new_width()});
}

REGISTER_SOURCE(image_data, .type = "ImageData", .summary = "batches of image files named in a list", .min_tops = 2,
                .max_tops = 2, .source = "image_data_param.source", .batch_size = "image_data_param.batch_size",
                .workers = "image_data_param.workers", .check = check, .open = open, .probe = probe, .item = item,
                .example = R"(
layer { name: "data" type: "ImageData" top: "data" top: "label"
  transform_param { crop_size: 224 mirror: true mean_value: 104 mean_value: 117 mean_value: 123 }
  image_data_param { source: "train.txt" root_folder: "images/" batch_size: 32 new_height: 256 new_width: 256
    shuffle: true } }
)");

}  // namespace
}  // namespace trainer
