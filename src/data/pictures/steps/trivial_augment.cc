// trivial_augment: one random operation of random strength, as torchvision's TrivialAugmentWide.
#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/operations.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class TrivialAugment : public PictureStep {
 public:
  explicit TrivialAugment(const caffe::TrivialAugmentStep& step) : step_(step) {}

  void apply(Picture& picture, Draws& draws) const override {
    constexpr Strengths kMost{
        .shear = 0.99, .translate_x = 32, .translate_y = 32, .rotate = 135, .color = 0.99, .bits = 6};
    const auto operation = static_cast<Operation>(draws.below(kOperations));
    const auto level = static_cast<int>(draws.below(step_.bins()));
    const Strength strength{level, static_cast<int>(step_.bins()), draws.chance(0.5)};
    apply_operation(picture, operation, kMost, strength, step_.bilinear(), static_cast<uint8_t>(step_.fill()));
  }

 private:
  caffe::TrivialAugmentStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  check_between(step.trivial_augment(), "bins", 2, 1000, context);
  check_between(step.trivial_augment(), "fill", 0, 255, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<TrivialAugment>(step.trivial_augment());
}

REGISTER_STEP(trivial_augment, .field = "trivial_augment", .target = StepTarget::kPixels, .train_only = true,
              .check = check, .make = make);

}  // namespace
}  // namespace trainer
