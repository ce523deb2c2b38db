// Reads means and factors of transform_param.
#include "export/preprocessing.h"

#include <algorithm>

#include "base/error.h"
#include "formats/mean_file.h"
#include "layers/layer.h"

namespace trainer {
namespace {

constexpr float kWhite = 255;

std::vector<float> inverses(const google::protobuf::RepeatedField<float>& deviations, float scale) {
  std::vector<float> out;
  for (const float deviation : deviations) out.push_back(scale / deviation);
  if (out.empty() && scale != 1) out.push_back(scale);
  return out;
}

Shape channels(const std::vector<float>& values) { return {1, static_cast<int64_t>(values.size()), 1, 1}; }

// The center of the mean image, in the order of channels of the items.
std::vector<float> mean_image(const caffe::TransformationParameter& param, const Shape& items) {
  const MeanImage image = read_mean_file(param.mean_file());
  const int64_t height = image.shape[1], width = image.shape[2];
  if (image.shape[0] != items[1] || height < items[2] || width < items[3])
    throw config_error("mean_file {} is {}, and the items are {}", param.mean_file(), image.shape.text(), items.text());
  const int64_t top = (height - items[2]) / 2, left = (width - items[3]) / 2;
  const bool reversed = param.channel_order() == caffe::TransformationParameter::RGB && items[1] == 3;
  std::vector<float> out;
  for (int64_t c = 0; c < items[1]; ++c) {
    for (int64_t h = 0; h < items[2]; ++h) {
      const int64_t row = ((reversed ? 2 - c : c) * height + top + h) * width + left;
      out.insert(out.end(), image.data.begin() + row, image.data.begin() + row + items[3]);
    }
  }
  return out;
}

void use_normalize(const caffe::NormalizeStep& step, Preprocessing* out) {
  out->mean.clear();
  for (const float mean : step.mean()) out->mean.push_back(kWhite * mean);
  out->factor = inverses(step.std(), 1 / kWhite);
}

}  // namespace

Preprocessing preprocessing_of(const caffe::LayerParameter& data, const Shape& items) {
  if (!data.has_transform_param() || data.top_size() == 0 || items.rank() != 4)
    throw config_error("--with_preprocessing: {} has no transform_param for pictures", subject_of(data));
  const caffe::TransformationParameter& param = data.transform_param();
  Preprocessing out;
  out.blob = data.top(0);
  out.pixels = "pixels of 0 to 255";
  if (items[1] == 3)
    out.pixels +=
        param.channel_order() == caffe::TransformationParameter::RGB ? ", channels R, G, B" : ", channels B, G, R";
  out.mean.assign(param.mean_value().begin(), param.mean_value().end());
  out.factor = inverses(param.std_value(), param.scale());
  if (param.has_mean_file()) out.mean = mean_image(param, items);
  for (const caffe::AugmentStep& step : param.augment()) {
    if (step.has_normalize()) use_normalize(step.normalize(), &out);
  }
  out.mean_shape = param.has_mean_file() ? Shape{1, items[1], items[2], items[3]} : channels(out.mean);
  out.factor_shape = channels(out.factor);
  return out;
}

caffe::TransformationParameter without_preprocessing(caffe::TransformationParameter param) {
  param.clear_mean_value();
  param.clear_mean_file();
  param.clear_std_value();
  param.clear_scale();
  auto* const steps = param.mutable_augment();
  steps->erase(
      std::remove_if(steps->begin(), steps->end(), [](const caffe::AugmentStep& step) { return step.has_normalize(); }),
      steps->end());
  return param;
}

}  // namespace trainer
