// horizontal_flip: mirrors images left to right with a probability.
#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class HorizontalFlip : public PictureStep {
 public:
  explicit HorizontalFlip(const caffe::HorizontalFlipStep& step) : probability_(step.probability()) {}

  void apply(Picture& picture, Draws& draws) const override {
    if (draws.chance(probability_)) picture.flip_x();
  }

 private:
  double probability_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  check_probability(step.horizontal_flip(), context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<HorizontalFlip>(step.horizontal_flip());
}

REGISTER_STEP(horizontal_flip, .field = "horizontal_flip", .target = StepTarget::kWindow, .train_only = true,
              .check = check, .make = make);

}  // namespace
}  // namespace trainer
