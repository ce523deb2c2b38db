// vertical_flip: turns images upside down with a probability.
#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class VerticalFlip : public PictureStep {
 public:
  explicit VerticalFlip(const caffe::VerticalFlipStep& step) : probability_(step.probability()) {}

  void apply(Picture& picture, Draws& draws) const override {
    if (draws.chance(probability_)) picture.flip_y();
  }

 private:
  double probability_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) { check_probability(step.vertical_flip(), context); }

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<VerticalFlip>(step.vertical_flip());
}

REGISTER_STEP(vertical_flip, .field = "vertical_flip", .target = StepTarget::kWindow, .train_only = true,
              .check = check, .make = make);

}  // namespace
}  // namespace trainer
