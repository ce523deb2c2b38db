// rand_augment: random operations of one strength, as torchvision's RandAugment.
#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/operations.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class RandAugment : public PictureStep {
 public:
  explicit RandAugment(const caffe::RandAugmentStep& step) : step_(step) {}

  void apply(Picture& picture, Draws& draws) const override {
    const ItemShape size = picture.shape();
    constexpr double kMoved = 150.0 / 331;  // of a side
    const Strengths most{.shear = 0.3,
                         .translate_x = kMoved * static_cast<double>(size.width),
                         .translate_y = kMoved * static_cast<double>(size.height),
                         .rotate = 30,
                         .color = 0.9,
                         .bits = 4};
    for (uint32_t i = 0; i < step_.operations(); ++i) {
      const auto operation = static_cast<Operation>(draws.below(kOperations));
      const Strength strength{static_cast<int>(step_.magnitude()), static_cast<int>(step_.bins()), draws.chance(0.5)};
      apply_operation(picture, operation, most, strength, step_.bilinear(), static_cast<uint8_t>(step_.fill()));
    }
  }

 private:
  caffe::RandAugmentStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  const caffe::RandAugmentStep& augment = step.rand_augment();
  check_between(augment, "operations", 1, 100, context);
  check_between(augment, "bins", 2, 1000, context);
  check_between(augment, "fill", 0, 255, context);
  if (augment.magnitude() >= augment.bins())
    context.error_in(augment, "magnitude", fmt::format("magnitude is {}", augment.magnitude()),
                     fmt::format("it must be below bins, {}", augment.bins()));
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<RandAugment>(step.rand_augment());
}

REGISTER_STEP(rand_augment, .field = "rand_augment", .target = StepTarget::kPixels, .train_only = true, .check = check,
              .make = make);

}  // namespace
}  // namespace trainer
