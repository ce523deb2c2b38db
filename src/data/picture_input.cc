// How a data layer prepares pictures for its net.
#include "data/picture_input.h"

#include <fmt/format.h>

#include "base/error.h"
#include "data/pictures/transformer.h"

namespace trainer {
namespace {

// The fields of the preparation that change values, in one line.
std::string color_fields(const caffe::PictureInput& input) {
  const caffe::TransformationParameter& all = input.transform_param();
  caffe::TransformationParameter fields;
  if (all.scale() != 1) fields.set_scale(all.scale());
  if (all.has_mean_file()) fields.set_mean_file(all.mean_file());
  *fields.mutable_mean_value() = all.mean_value();
  *fields.mutable_std_value() = all.std_value();
  if (all.channel_order() != caffe::TransformationParameter::BGR) fields.set_channel_order(all.channel_order());
  for (const caffe::AugmentStep& step : all.augment()) {
    if (step.has_normalize()) *fields.add_augment() = step;
  }
  std::string text = fields.ShortDebugString();
  if (!input.is_color()) text += text.empty() ? "is_color: false" : " is_color: false";
  return text.empty() ? "pixels as they are" : text;
}

}  // namespace

ItemShape stored_shape(BatchFeed& feed) {
  const std::unique_ptr<StoredReader> reader = feed.make_stored_reader();
  for (uint64_t i = 0;; ++i) {
    try {
      reader->claim(i, 1);
      const StoredRecord record = reader->read(i);
      return record.file.empty() ? record.pixels.shape : ItemShape{record.pixels.shape.channels, 0, 0};
    } catch (const Error& error) {
      const bool skips = feed.skips_bad_records() && error.code() == ExitCode::kData;
      if (!skips || i + 1 == feed.stored_records()) throw;
    }
  }
}

std::optional<caffe::PictureInput> picture_input_of(const caffe::LayerParameter& layer, const ItemShape& stored) {
  caffe::PictureInput input;
  if (layer.type() == "ImageData") {
    const caffe::ImageDataParameter& from = layer.image_data_param();
    input.set_is_color(from.is_color());
    input.set_new_height(from.new_height());
    input.set_new_width(from.new_width());
    input.set_exact_decode(from.exact_decode());
  } else if (layer.type() == "Data") {
    input.set_is_color(stored.channels != 1);
    input.set_new_height(static_cast<uint32_t>(stored.height));
    input.set_new_width(static_cast<uint32_t>(stored.width));
    input.set_exact_decode(layer.data_param().exact_decode());
  } else {
    return std::nullopt;
  }
  *input.mutable_transform_param() = layer.transform_param();
  return input;
}

void read_pictures(const caffe::PictureInput& input, uint32_t batch_size, caffe::LayerParameter* layer) {
  caffe::ImageDataParameter reading;
  reading.set_workers(layer->type() == "Data" ? layer->data_param().workers() : layer->image_data_param().workers());
  layer->clear_data_param();
  layer->clear_input_param();
  layer->set_type("ImageData");
  reading.set_source("the command line");
  reading.set_batch_size(batch_size);
  reading.set_is_color(input.is_color());
  reading.set_new_height(input.new_height());
  reading.set_new_width(input.new_width());
  reading.set_exact_decode(input.exact_decode());
  *layer->mutable_image_data_param() = reading;
  *layer->mutable_transform_param() = input.transform_param();
  while (layer->top_size() < 2) layer->add_top("(label)");
}

ItemShape item_shape(const caffe::PictureInput& input) {
  return item_shape(input.transform_param(), {input.is_color() ? 3 : 1, static_cast<int64_t>(input.new_height()),
                                              static_cast<int64_t>(input.new_width())});
}

std::string color_difference(const caffe::PictureInput& first, const std::string& first_name,
                             const caffe::PictureInput& second, const std::string& second_name) {
  const std::string one = color_fields(first), other = color_fields(second);
  return one == other ? "" : fmt::format("{} in {}, but {} in {}", one, first_name, other, second_name);
}

}  // namespace trainer
