// Checks and joins steps.
#include "data/pictures/augmentation.h"

#include "data/layer_fields.h"
#include "data/pictures/steps/fields.h"

namespace trainer {

namespace {

// Fields of Caffe's transformation, and the step that does the same.
struct Replacement {
  const char* field;
  const char* remedy;
};
constexpr Replacement kReplacements[] = {
    {"mirror", "use augment { horizontal_flip { } }"},
    {"crop_size", "use augment { random_crop { size: N } }, which crops the center in phase TEST"},
    {"scale", "use augment { normalize { } }, which maps bytes to 0..1"},
    {"mean_value", "use augment { normalize { mean: M std: S } }, whose values are for pixels of 0..1"},
    {"std_value", "use augment { normalize { mean: M std: S } }, whose values are for pixels of 0..1"},
    {"mean_file", "use augment { normalize { mean: M std: S } } with a mean for each channel"},
};

// Steps on pixels, then one normalize, then steps on the item.
class OrderCheck {
 public:
  explicit OrderCheck(SourceContext& context) : context_(context) {}

  void add(const caffe::AugmentStep& step, const StepType& type) {
    const std::string field = type.field;
    if (type.target != StepTarget::kItem) {
      if (!erased_.empty()) {
        error(step, field, erased_, "erase acts on the finished item");
      } else if (!normalized_.empty() && type.target == StepTarget::kPixels) {
        error(step, field, normalized_, "normalize turns pixels into floats");
      }
    } else if (field == "normalize") {
      if (!normalized_.empty()) error(step, field, normalized_, "one normalize is enough");
      if (!erased_.empty()) error(step, field, erased_, "erase acts on the finished item");
      normalized_ = field;
    } else {
      erased_ = field;
    }
  }

 private:
  void error(const caffe::AugmentStep& step, const std::string& field, const std::string& before,
             const std::string& reason) {
    if (field == before)
      context_.error_in(step, field, fmt::format("augment contains {} twice", field), "keep one");
    else
      context_.error_in(step, field, fmt::format("{} is after {}", field, before),
                        fmt::format("{}: put {} before it", reason, field));
  }

  SourceContext& context_;
  std::string normalized_, erased_;
};

}  // namespace

void check_augment(SourceContext& context) {
  const caffe::TransformationParameter& param = context.layer().transform_param();
  if (param.augment_size() == 0) return;
  // crop_size of WindowData is the size of a window, not a crop.
  const bool windows = context.layer().type() == "WindowData";
  for (const Replacement& replacement : kReplacements) {
    const std::string field = replacement.field;
    if (!has_field(context.layer(), "transform_param." + field) || (windows && field == "crop_size")) continue;
    context.error("transform_param." + field, fmt::format("{} has no place beside augment", field), replacement.remedy);
  }
  OrderCheck order(context);
  for (const caffe::AugmentStep& step : param.augment()) {
    if (const StepType* type = find_step_type(step)) {
      const google::protobuf::Message& message = message_of(step);
      if (probability_of(message)) check_between(message, "probability", 0, 1, context);
      if (type->check != nullptr) type->check(step, context);
      order.add(step, *type);
    } else {
      context.error_in(step, "", "augment contains no step",
                       fmt::format("write one of these steps in it, with {{ }}: {}", fmt::join(step_names(), ", ")));
    }
  }
}

Augmentation::Augmentation(const SourceContext& context)
    : empty_(context.layer().transform_param().augment_size() == 0) {
  const caffe::TransformationParameter& param = context.layer().transform_param();
  const caffe::Phase phase = context.options().phase;
  for (int i = 0; i < param.augment_size(); ++i) {
    const StepType& type = *find_step_type(param.augment(i));
    if (type.train_only && phase != caffe::TRAIN) continue;
    steps_.push_back({type.make(param.augment(i), phase), context.random_key(fmt::format("augment/{}", i)),
                      probability_of(message_of(param.augment(i)))});
  }
}

ItemShape Augmentation::output_shape(ItemShape picture) const {
  for (const Step& step : steps_) picture = step.step->output_shape(picture);
  return picture;
}

void Augmentation::show(ItemColors& colors) const {
  for (const Step& step : steps_) step.step->show(colors);
}

PicturePart Augmentation::part(const ItemShape& picture, uint64_t epoch, uint64_t position) const {
  if (steps_.empty() || steps_.front().probability) return PicturePart(picture);
  const Step& first = steps_.front();
  Draws draws(first.key, epoch, position);
  return first.step->part(picture, draws);
}

void Augmentation::apply(Picture& picture, uint64_t epoch, uint64_t position) const {
  for (const Step& step : steps_) {
    Draws draws(step.key, epoch, position);
    if (!step.probability || draws.chance(*step.probability)) step.step->apply(picture, draws);
  }
}

}  // namespace trainer
