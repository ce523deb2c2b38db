// Reads the mean file and checks that pictures fit it.
#include "data/pictures/picture_mean.h"

#include <numeric>

namespace trainer {

PictureMean::PictureMean(SourceContext& context)
    : path_(context.layer().transform_param().mean_file()),
      values_(context.layer().transform_param().mean_value().begin(),
              context.layer().transform_param().mean_value().end()) {
  if (path_.empty()) return;
  context.attempt("transform_param.mean_file", [&] {
    image_ = read_mean_file(path_);
    TRAINER_ASSERT(image_.shape.rank() == 3);
  });
}

void PictureMean::check(const ItemShape& picture) const {
  if (has_image() && picture != image_shape()) {
    throw data_error(
        "the item is {} but the mean image {} is {}: compute the mean over these items, or use "
        "transform_param.mean_value",
        picture.text(), path_, image_shape().text());
  }
  if (values_.size() > 1 && static_cast<int64_t>(values_.size()) != picture.channels) {
    throw data_error(
        "the item has {0} channels, but there are {1} mean values: Specify either 1 mean_value or as many as channels: "
        "{0}",
        picture.channels, values_.size());
  }
}

MeanView PictureMean::view(const Sampling& in_image) const {
  static const float zero = 0;
  if (has_image()) {
    const ItemShape shape = image_shape();
    return {image_.data.data() + in_image.y.first * shape.width + in_image.x.first, shape.height * shape.width,
            in_image.y.step * shape.width, in_image.x.step, true};
  }
  if (values_.empty()) return {&zero};
  return {values_.data(), values_.size() == 1 ? 0 : 1};
}

std::vector<float> PictureMean::values(bool rgb) const {
  if (!has_image()) return values_.empty() ? std::vector<float>{0} : values_;
  const ItemShape shape = image_shape();
  std::vector<float> means;
  for (int64_t c = 0; c < shape.channels; ++c) {
    const auto first = image_.data.begin() + c * shape.height * shape.width;
    means.push_back(static_cast<float>(std::accumulate(first, first + shape.height * shape.width, 0.0) /
                                       static_cast<double>(shape.height * shape.width)));
  }
  if (rgb && shape.channels >= 3) std::swap(means[0], means[2]);
  return means;
}

ChannelFactors::ChannelFactors(float scale, const caffe::TransformationParameter& param) {
  for (const float deviation : param.std_value()) factors_.push_back(scale / deviation);
  if (factors_.empty()) factors_ = {scale};
}

void ChannelFactors::check(const ItemShape& picture) const {
  if (factors_.size() > 1 && static_cast<int64_t>(factors_.size()) != picture.channels)
    throw data_error("the item has {0} channels, but there are {1} std values: give 1 std_value or {0}",
                     picture.channels, factors_.size());
}

}  // namespace trainer
