// Checks and joins steps.
#include "data/pictures/picture_steps.h"

#include "data/layer_fields.h"

namespace trainer {

void check_transform(SourceContext& context) {
  const caffe::TransformationParameter& param = context.layer().transform_param();
  if (param.has_mean_file() && param.mean_value_size() > 0)
    context.error("transform_param.mean_value", "both mean_file and mean_value are given",
                  "cannot specify mean_file and mean_value at the same time: keep one");
  if (param.has_mean_file() && param.mean_file().empty())
    context.error("transform_param.mean_file", "mean_file is empty", "remove the field, or name a file");
  if (param.force_color() && param.force_gray())
    context.error("transform_param.force_gray", "cannot set both force_color and force_gray", "keep one");
  for (const caffe::AugmentStep& step : param.augment()) {
    if (const StepType* type = find_step_type(step)) {
      type->check(step, context);
    } else {
      context.error_in(step, "", "augment contains no step",
                       fmt::format("write one of these steps in it, with {{ }}: {}", fmt::join(step_names(), ", ")));
    }
  }
}

void warn_of_moved_fields(SourceContext& context, const std::string& message, const std::vector<std::string>& fields) {
  for (const std::string& field : fields) {
    const std::string path = message + "." + field;
    if (has_field(context.layer(), path))
      context.warning(path, path + " has no effect, as in Caffe", "set transform_param." + field);
  }
}

PictureSteps::PictureSteps(const SourceContext& context, const CropAndMirror& last) : last_(last) {
  const caffe::TransformationParameter& param = context.layer().transform_param();
  for (int i = 0; i < param.augment_size(); ++i) {
    const StepType& type = *find_step_type(param.augment(i));
    if (type.train_only && context.options().phase != caffe::TRAIN) continue;
    augment_.push_back(type.make(param.augment(i), context.random_key(fmt::format("augment/{}", i))));
  }
}

ItemShape PictureSteps::augmented_shape(ItemShape picture) const {
  for (const auto& step : augment_) picture = step->output_shape(picture);
  return picture;
}

PictureSteps::Samplings PictureSteps::sample(const ItemShape& picture, uint64_t epoch, uint64_t position) const {
  ItemShape shape = picture;
  Sampling augmented(picture);
  for (const auto& step : augment_) {
    augmented = augmented.then(step->sample(shape, epoch, position));
    shape = step->output_shape(shape);
  }
  const Sampling last = last_.sample(shape, epoch, position);
  return {augmented.then(last), last};
}

}  // namespace trainer
