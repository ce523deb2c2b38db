// ImageData: batches of image files of a list or of a folder with a folder for each class, transformed by
// transform_param.
//   top 0  (batch_size, C, H, W): C is 3 (blue, green, red) or 1 (is_color: false); H and W are new_height and
//          new_width, or the size of the pictures, after the crop of transform_param
//   top 1  labels by label_kind: (batch_size), (batch_size, K) or masks (batch_size, 1, H, W); of mixed batches
//          (batch_size, classes)
// A record is an image of the list; the worker that decodes it reads its file, or finds it in the cache.
#include <algorithm>
#include <filesystem>
#include <set>

#include "base/philox.h"
#include "base/text.h"
#include "data/data_source.h"
#include "data/feeds/image_files.h"
#include "data/feeds/image_folder.h"
#include "data/pictures/resize.h"
#include "data/record_weights.h"

namespace trainer {

namespace {

using caffe::ImageDataParameter;

class ImageListSource : public RecordSource {
 public:
  explicit ImageListSource(std::shared_ptr<const ImageList> list) : list_(std::move(list)) {}

  const std::string& path() const override { return list_->source(); }
  uint64_t size() const override { return list_->size(); }
  void read(uint64_t index, Record& record) override {
    record.index = index;
    record.key = list_->path(index);
    record.value = {};
  }
  std::string content() override {
    return with_digest(content_text(size(), list_->path(0), list_->path(size() - 1)), list_->digest());
  }
  std::vector<std::string> class_names() const override { return list_->class_names(); }
  int64_t memory_bytes() const override { return list_->memory_bytes(); }
  std::string describe(const Record& record) const override { return list_->describe(record.index); }

 private:
  std::shared_ptr<const ImageList> list_;
};

void check_labels(SourceContext& context) {
  const ImageDataParameter& param = context.layer().image_data_param();
  if (needs_classes(param.sampling()) && param.label_kind() != ImageDataParameter::CLASS)
    context.error("image_data_param.sampling",
                  fmt::format("{} needs classes, but label_kind is {}",
                              param.sampling().balance_classes() ? "balance_classes" : "class_weight",
                              ImageDataParameter::LabelKind_Name(param.label_kind())),
                  "remove one of the two");
  constexpr uint32_t kLargestMaskValue = 255;
  if (param.has_mask_ignore() && param.label_kind() != ImageDataParameter::MASK)
    context.error("image_data_param.mask_ignore", "mask_ignore without masks", "set label_kind: MASK, or remove it");
  if (param.mask_ignore() > kLargestMaskValue)
    context.error("image_data_param.mask_ignore", fmt::format("mask_ignore is {}", param.mask_ignore()),
                  fmt::format("the maximum is {}", kLargestMaskValue));
  if (param.has_labels() && param.label_kind() == ImageDataParameter::VALUES)
    context.error("image_data_param.labels", "labels names classes, but label_kind is VALUES", "remove one of the two");
  if (param.has_labels() && param.labels().empty())
    context.error("image_data_param.labels", "labels is empty", "remove the field, or name a file");
  if (context.layer().transform_param().has_mix() && param.label_kind() != ImageDataParameter::CLASS)
    context.error(
        "transform_param.mix",
        fmt::format("mix needs classes, but label_kind is {}", ImageDataParameter::LabelKind_Name(param.label_kind())),
        "remove one of the two");
  const float fraction = param.validation_fraction();
  if (param.has_validation_fraction() && !(fraction > 0 && fraction < 1))
    context.error("image_data_param.validation_fraction", fmt::format("validation_fraction is {}", fraction),
                  "it must be above 0 and below 1");
}

void check(SourceContext& context) {
  context.require("image_data_param.source",
                  "give a folder with a folder of images for each class, or a text file with a line \"path label\" for "
                  "each image");
  context.require("image_data_param.batch_size", "give the number of images in a batch");
  check_transform(context);
  check_mix(context, true);
  check_labels(context);
  const ImageDataParameter& param = context.layer().image_data_param();
  check_sampling(context, "image_data_param", param.sampling(), param.shuffle());
  const char* given = param.new_height() > 0 ? "new_height" : "new_width";
  if ((param.new_height() > 0) != (param.new_width() > 0))
    context.error(fmt::format("image_data_param.{}", given),
                  fmt::format("{} without {}", given, param.new_height() > 0 ? "new_width" : "new_height"),
                  "give both, or neither");
  constexpr uint32_t kLargest = kLargestSide;
  if (std::max(param.new_height(), param.new_width()) > kLargest)
    context.error(fmt::format("image_data_param.{}", param.new_height() > kLargest ? "new_height" : "new_width"),
                  fmt::format("images cannot be resized to {}x{}", param.new_height(), param.new_width()),
                  fmt::format("the maximum is {}", kLargest));
  warn_of_moved_fields(context, "image_data_param", {"scale", "mean_file", "crop_size", "mirror"});
  const caffe::TransformationParameter& transform = context.layer().transform_param();
  if (transform.force_color() || transform.force_gray())
    context.warning(transform.force_gray() ? "transform_param.force_gray" : "transform_param.force_color",
                    "force_color and force_gray have no effect here, as in Caffe", "set image_data_param.is_color");
}

uint64_t first_picture(SourceContext& context, uint64_t pictures) {
  const ImageDataParameter& param = context.layer().image_data_param();
  if (param.rand_skip() == 0) return 0;
  const PhiloxBlock draw = philox(context.random_key("rand_skip"), 0, 0);
  const uint64_t first = (uint64_t{draw[0]} * param.rand_skip()) >> 32;
  if (first >= pictures)
    context.error("image_data_param.rand_skip",
                  fmt::format("rand_skip is {}, but {} has {} images", param.rand_skip(), param.source(), pictures),
                  "choose a smaller value");
  return first;
}

bool is_folder(const std::string& source) {
  std::error_code absent;
  return std::filesystem::is_directory(source, absent);
}

// Warns of a folder that probably is not that of the classes.
void warn_of_wrong_folder(SourceContext& context, const std::vector<std::string>& classes) {
  const std::string& source = context.layer().image_data_param().source();
  const std::set<std::string> splits = {"train", "training", "test", "testing", "val", "valid", "validation"};
  const bool of_splits =
      std::all_of(classes.begin(), classes.end(), [&](const std::string& name) { return splits.count(lower(name)); });
  if (of_splits && !classes.empty())
    context.warning("image_data_param.source",
                    fmt::format("the classes of {} are named {}", source, fmt::join(classes, " and ")),
                    fmt::format("if each of them has a folder for each class, name one of them: {}",
                                (std::filesystem::path(source) / classes.front()).string()));
  else if (classes.size() == 1)
    context.warning(
        "image_data_param.source",
        fmt::format("{} has images of one class, {}: a net cannot learn to tell classes", source, classes[0]),
        "name the folder that has a folder for each class");
}

// Fields that need a folder as the source, or a list.
void check_source_kind(SourceContext& context) {
  const ImageDataParameter& param = context.layer().image_data_param();
  if (!is_folder(param.source())) {
    std::error_code absent;
    if (param.has_validation_fraction() && std::filesystem::exists(param.source(), absent))
      context.error("image_data_param.validation_fraction",
                    fmt::format("validation_fraction splits a folder, but {} is none", param.source()),
                    "write a list for each phase, or name a folder with a folder for each class");
    return;
  }
  if (!param.root_folder().empty())
    context.error("image_data_param.root_folder",
                  fmt::format("root_folder is a prefix of paths in a list, but {} is a folder", param.source()),
                  "remove root_folder, or name a list in source");
  if (param.label_kind() != ImageDataParameter::CLASS)
    context.error("image_data_param.label_kind",
                  fmt::format("{} is a folder, whose labels are classes", param.source()),
                  fmt::format("name a list in source for label_kind: {}",
                              ImageDataParameter::LabelKind_Name(param.label_kind())));
}

ImageList read_images(SourceContext& context, std::vector<std::string> names) {
  const ImageDataParameter& param = context.layer().image_data_param();
  if (is_folder(param.source())) {
    ImageFolderOptions options{std::move(names), param.labels(), param.validation_fraction(),
                               context.options().phase == caffe::TEST};
    ImageList list = read_image_folder(param.source(), options, [&](const std::string& line) { context.note(line); });
    warn_of_wrong_folder(context, list.class_names());
    return list;
  }
  ImageList list = read_image_list(param.source(), param.root_folder(), param.label_kind());
  context.attempt("image_data_param.root_folder", [&] { check_root(list); });
  if (!names.empty())
    context.attempt("image_data_param.labels", [&] { check_class_names(list, names, param.labels()); });
  list.set_class_names(std::move(names));
  return list;
}

std::shared_ptr<const ImageList> images_of(SourceContext& context, std::vector<std::string> names) {
  if (context.options().images != nullptr) return context.options().images;
  return std::make_shared<const ImageList>(read_images(context, std::move(names)));
}

std::vector<uint32_t> classes_of(const ImageList& list) {
  std::vector<uint32_t> classes;
  classes.reserve(static_cast<size_t>(list.size()));
  for (uint64_t i = 0; i < list.size(); ++i)
    classes.push_back(class_of(static_cast<int32_t>(list.label(i)[0]), [&] { return list.describe(i); }));
  return classes;
}

LabelCounts count_labels(const ImageList& list) {
  LabelCounts counts;
  for (uint64_t i = 0; i < list.size(); ++i) ++counts[static_cast<int64_t>(list.label(i)[0])];
  return counts;
}

std::unique_ptr<BatchFeed> open(SourceContext& context) {
  const ImageDataParameter& param = context.layer().image_data_param();
  check_source_kind(context);
  std::vector<std::string> names;
  if (param.has_labels()) context.attempt("image_data_param.labels", [&] { names = read_class_names(param.labels()); });
  if (context.failed()) return nullptr;
  ImageReading reading;
  if (!param.is_color()) reading.mode = ColorMode::kGray;
  reading.height = static_cast<int>(param.new_height());
  reading.width = static_cast<int>(param.new_width());
  Transformer transformer(context);
  const std::shared_ptr<const ImageList> list = images_of(context, std::move(names));
  const std::shared_ptr<ImageCache> cache = open_image_cache(context, *list, reading);
  if (context.failed()) return nullptr;
  const bool in_order = context.options().in_order;
  const uint64_t first = first_picture(context, list->size());
  const auto weights = weigh_records(context, {"image_data_param", param.sampling(), param.source(), list->size(),
                                               list->class_names(), [&] { return classes_of(*list); }});
  Sampler sampler(list->size(), param.shuffle() && !in_order, context.random_key("shuffle"), in_order ? 0 : first,
                  weights);
  PictureFeedSettings settings = picture_settings(context, "image_data_param", param.batch_size());
  set_skipping(context, "image_data_param", param.skip_bad_records(), &settings);
  settings.label_values = static_cast<int64_t>(list->label_values());
  // With a cache, because what it keeps decoded depends on the free memory.
  settings.exact_decode = param.exact_decode() || param.cache() != ImageDataParameter::NONE;
  settings.mask_ignore = static_cast<uint8_t>(param.mask_ignore());
  settings.mix = BatchMix::make(context, list->class_names());
  if (param.label_kind() == ImageDataParameter::CLASS)
    settings.count_labels = [list](RecordSource&) { return count_labels(*list); };
  return std::make_unique<PictureFeed>(
      std::move(settings), std::make_unique<ImageListSource>(list), std::move(sampler), std::move(transformer),
      [list, reading, cache] { return std::make_unique<ImageFileDecoder>(list, reading, cache); });
}

void probe(const caffe::LayerParameter& layer) {
  const ImageDataParameter& param = layer.image_data_param();
  if (is_folder(param.source())) {
    read_image_folder(param.source(), {}, {});
  } else {
    read_image_list(param.source(), param.root_folder(), param.label_kind());
  }
}

ItemShape item(const caffe::LayerParameter& layer) {
  const ImageDataParameter& param = layer.image_data_param();
  return item_shape(layer.transform_param(), {param.is_color() ? 3 : 1, param.new_height(), param.new_width()});
}

Shape labels(const caffe::LayerParameter& layer, caffe::Phase phase, const Shape& items, int64_t unknown) {
  switch (layer.image_data_param().label_kind()) {
    case ImageDataParameter::VALUES: return {items[0], unknown};
    case ImageDataParameter::MASK: return {items[0], 1, items[2], items[3]};
    default: return class_labels(layer, phase, items, unknown);
  }
}

REGISTER_SOURCE(image_data, .type = "ImageData", .summary = "batches of image files of a folder or a list",
                .min_tops = 2, .max_tops = 2, .source = "image_data_param.source",
                .batch_size = "image_data_param.batch_size", .workers = "image_data_param.workers", .check = check,
                .open = open, .probe = probe, .item = item, .labels = labels, .example = R"(
layer { name: "data" type: "ImageData" top: "data" top: "label"
  transform_param { crop_size: 224 mirror: true mean_value: 104 mean_value: 117 mean_value: 123 }
  image_data_param { source: "train.txt" root_folder: "images/" batch_size: 32 new_height: 256 new_width: 256
    shuffle: true } }
)");

}  // namespace
}  // namespace trainer
