// Crop, mirror, mean and scale.
#include "data/pictures/transformer.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/philox.h"
#include "data/pictures/mean_field.h"

namespace trainer {

namespace {

int64_t bounded(uint32_t bits, int64_t bound) {
  return static_cast<int64_t>((uint64_t{bits} * static_cast<uint64_t>(bound)) >> 32);
}

// One line of pixels. Steps are in elements; a mirrored line has a negative out_step.
template <typename T>
void transform_line(const T* in, int64_t in_step, const float* mean, int64_t mean_step, float scale, float* out,
                    int64_t out_step, int64_t count) {
  if (in_step == 1 && out_step == 1 && mean_step == 0) {
    const float value = *mean;
    for (int64_t i = 0; i < count; ++i) out[i] = (static_cast<float>(in[i]) - value) * scale;
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    out[i * out_step] = (static_cast<float>(in[i * in_step]) - mean[i * mean_step]) * scale;
  }
}

}  // namespace

std::string ItemShape::text() const { return fmt::format("{}x{}x{}", channels, height, width); }

Transformer::Transformer(const caffe::TransformationParameter& param, caffe::Phase phase, uint64_t key,
                         const std::string& layer)
    : crop_(param.crop_size()),
      mirror_(param.mirror()),
      random_crop_(phase == caffe::TRAIN && param.crop_size() > 0),
      scale_(param.scale()),
      mean_values_(param.mean_value().begin(), param.mean_value().end()),
      layer_(layer),
      key_(key) {
  if (param.has_mean_file() && param.mean_value_size() > 0) {
    throw config_error(
        "{}: Cannot specify mean_file and mean_value at the same time: keep one of the two in "
        "transform_param",
        layer);
  }
  if (param.force_color() && param.force_gray()) {
    throw config_error("{}: cannot set both force_color and force_gray in transform_param", layer);
  }
  if (param.has_mean_file()) {
    MeanImage mean = read_mean_field(param);
    TRAINER_ASSERT(mean.shape.rank() == 3);
    mean_shape_ = {mean.shape[0], mean.shape[1], mean.shape[2]};
    mean_image_ = std::move(mean.data);
    mean_path_ = param.mean_file();
  }
}

ItemShape Transformer::output_shape(const ItemShape& item) const {
  if (!mean_image_.empty() && item != mean_shape_) {
    throw data_error(
        "the item is {} but the mean image {} is {}; {}: compute the mean over these items, or use "
        "transform_param.mean_value",
        item.text(), mean_path_, mean_shape_.text(), layer_);
  }
  if (mean_values_.size() > 1 && static_cast<int64_t>(mean_values_.size()) != item.channels) {
    throw data_error(
        "the item has {0} channels but {2} gives {1} mean values: Specify either 1 mean_value or as "
        "many as channels: {0}",
        item.channels, mean_values_.size(), layer_);
  }
  if (crop_ == 0) return item;
  if (crop_ > item.height || crop_ > item.width) {
    throw data_error("crop_size {} of {} is larger than the item, which is {}", crop_, layer_, item.text());
  }
  return {item.channels, crop_, crop_};
}

void Transformer::apply(const PixelView& pixels, uint64_t epoch, uint64_t position, MemoryFormat order,
                        float* out) const {
  const ItemShape& in = pixels.shape;
  const int64_t height = crop_ > 0 ? crop_ : in.height, width = crop_ > 0 ? crop_ : in.width;
  int64_t h_off = (in.height - height) / 2, w_off = (in.width - width) / 2;
  bool mirrored = false;
  if (mirror_ || random_crop_) {
    const PhiloxBlock draw = philox(key_, epoch, position);
    mirrored = mirror_ && (draw[0] >> 31) != 0;
    if (random_crop_) {
      h_off = bounded(draw[1], in.height - height + 1);
      w_off = bounded(draw[2], in.width - width + 1);
    }
  }

  const bool channels_last = order == MemoryFormat::kChannelsLast;
  const int64_t in_c = pixels.interleaved ? 1 : in.height * in.width;
  const int64_t in_w = pixels.interleaved ? in.channels : 1;
  const int64_t in_h = in.width * in_w;
  const int64_t out_c = channels_last ? 1 : height * width;
  const int64_t out_w = channels_last ? in.channels : 1;
  const int64_t out_h = width * out_w;
  const float zero = 0.0f;

  for (int64_t h = 0; h < height; ++h) {
    for (int64_t c = 0; c < in.channels; ++c) {
      const int64_t from = c * in_c + (h_off + h) * in_h + w_off * in_w;
      const float* mean = &zero;
      int64_t mean_step = 0;
      if (!mean_image_.empty()) {
        mean = mean_image_.data() + (c * in.height + h_off + h) * in.width + w_off;
        mean_step = 1;
      } else if (!mean_values_.empty()) {
        mean = &mean_values_[mean_values_.size() == 1 ? 0 : static_cast<size_t>(c)];
      }
      float* line = out + c * out_c + h * out_h + (mirrored ? (width - 1) * out_w : 0);
      const int64_t out_step = mirrored ? -out_w : out_w;
      if (pixels.bytes != nullptr) {
        transform_line(pixels.bytes + from, in_w, mean, mean_step, scale_, line, out_step, width);
      } else {
        transform_line(pixels.floats + from, in_w, mean, mean_step, scale_, line, out_step, width);
      }
    }
  }
}

}  // namespace trainer
