// Checks transform_param and applies it.
#include "data/pictures/transformer.h"

#include <cmath>

#include "data/layer_fields.h"

namespace trainer {

namespace {

CropAndMirror crop_and_mirror(const SourceContext& context) {
  const caffe::TransformationParameter& param = context.layer().transform_param();
  CropAndMirror step;
  step.crop = param.crop_size();
  step.random_crop = step.crop > 0 && context.options().phase == caffe::TRAIN;
  step.mirror = param.mirror();
  step.key = context.random_key("transform");
  return step;
}

}  // namespace

void check_transform(SourceContext& context) {
  const caffe::TransformationParameter& param = context.layer().transform_param();
  if (param.has_mean_file() && param.mean_value_size() > 0)
    context.error("transform_param.mean_value", "both mean_file and mean_value are given",
                  "cannot specify mean_file and mean_value at the same time: keep one");
  if (param.has_mean_file() && param.mean_file().empty())
    context.error("transform_param.mean_file", "mean_file is empty", "remove the field, or name a file");
  if (param.force_color() && param.force_gray())
    context.error("transform_param.force_gray", "cannot set both force_color and force_gray", "keep one");
  for (const float deviation : param.std_value()) {
    if (!(deviation > 0 && std::isfinite(deviation)))
      context.error("transform_param.std_value", fmt::format("std_value is {}", deviation),
                    "it must be a finite number above 0");
  }
  for (const float mean : param.mean_value()) {
    if (!std::isfinite(mean))
      context.error("transform_param.mean_value", fmt::format("mean_value is {}", mean), "it must be a finite number");
  }
  check_augment(context);
}

void warn_of_moved_fields(SourceContext& context, const std::string& message, const std::vector<std::string>& fields) {
  for (const std::string& field : fields) {
    const std::string path = message + "." + field;
    if (has_field(context.layer(), path))
      context.warning(path, path + " has no effect, as in Caffe", "set transform_param." + field);
  }
}

ItemShape item_shape(const caffe::TransformationParameter& param, ItemShape picture) {
  const int64_t crop = param.crop_size();
  if (crop > 0) return {picture.channels, crop, crop};
  try {
    for (const caffe::AugmentStep& step : param.augment()) {
      if (const StepType* type = find_step_type(step)) picture = type->make(step, caffe::TRAIN)->output_shape(picture);
    }
  } catch (const Error&) {  // the text has mistakes, which its check reports
    return {picture.channels, 0, 0};
  }
  return picture;
}

ItemColors colors_of(const Augmentation& augmentation, const PictureMean& mean, const ChannelFactors& factors,
                     bool rgb) {
  ItemColors colors;
  colors.rgb = rgb;
  if (!augmentation.empty()) {
    augmentation.show(colors);
  } else {
    colors.mean = mean.values(rgb);
    colors.factor = factors.values();
  }
  return colors;
}

Transformer::Transformer(SourceContext& context)
    : augmentation_(context),
      crop_(crop_and_mirror(context)),
      mean_(context),
      factors_(context.layer().transform_param().scale(), context.layer().transform_param()),
      rgb_(context.layer().transform_param().channel_order() == caffe::TransformationParameter::RGB) {}

ItemShape Transformer::output_shape(const ItemShape& item) const {
  if (!augmentation_.empty()) return augmentation_.output_shape(item);
  mean_.check(item);
  factors_.check(item);
  return crop_.output_shape(item);
}

PicturePart Transformer::part(const ItemShape& picture, uint64_t epoch, uint64_t position) const {
  if (!augmentation_.empty()) return augmentation_.part(picture, epoch, position);
  const Sampling sampling = crop_.sample(picture, epoch, position);
  return PicturePart(Rectangle{sampling.y.lowest(), sampling.x.lowest(), sampling.y.count, sampling.x.count});
}

void Transformer::apply(const PixelView& pixels, const PictureMask& mask, uint64_t epoch, uint64_t position,
                        MemoryFormat order, Picture& scratch, float* out) const {
  if (!augmentation_.empty()) {
    if (mask.out != nullptr) {
      scratch.start(pixels, mask.pixels, mask.ignored);
    } else {
      scratch.start(pixels);
    }
    augmentation_.apply(scratch, epoch, position);
    if (mask.out != nullptr) scratch.write_mask(mask.out);
    return scratch.write(rgb_, order, out);
  }
  const Sampling sampling = crop_.sample(pixels.shape, epoch, position);
  write_item(pixels, sampling, rgb_, mean_.view(sampling), factors_.view(),
             item_view(out, {pixels.shape.channels, sampling.y.count, sampling.x.count}, order));
  if (mask.out != nullptr) write_mask(mask.pixels, sampling, mask.out);
}

}  // namespace trainer
