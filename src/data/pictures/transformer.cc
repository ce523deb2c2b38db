// Applies crop, mirror, mean and scale.
#include "data/pictures/transformer.h"

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

Transformer::Transformer(SourceContext& context)
    : steps_(context, crop_and_mirror(context)), mean_(context), scale_(context.layer().transform_param().scale()) {}

ItemShape Transformer::output_shape(const ItemShape& item) const {
  const ItemShape augmented = steps_.augmented_shape(item);
  mean_.check(augmented);
  return steps_.cropped_shape(augmented);
}

void Transformer::apply(const PixelView& pixels, uint64_t epoch, uint64_t position, MemoryFormat order,
                        float* out) const {
  const auto [of_picture, of_augmented] = steps_.sample(pixels.shape, epoch, position);
  write_item(pixels, of_picture, mean_.view(of_augmented), scale_,
             item_view(out, {pixels.shape.channels, of_picture.y.count, of_picture.x.count}, order));
}

}  // namespace trainer
