// horizontal_flip: mirrors images left to right with a probability.
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class HorizontalFlip : public PictureStep {
 public:
  void apply(Picture& picture, Draws&) const override { picture.flip_x(); }
};

std::unique_ptr<PictureStep> make(const caffe::AugmentStep&, caffe::Phase) {
  return std::make_unique<HorizontalFlip>();
}

REGISTER_STEP(horizontal_flip, .field = "horizontal_flip", .target = StepTarget::kWindow, .train_only = true,
              .make = make);

}  // namespace
}  // namespace trainer
