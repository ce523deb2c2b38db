// vertical_flip: turns images upside down with a probability.
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class VerticalFlip : public PictureStep {
 public:
  void apply(Picture& picture, Draws&) const override { picture.flip_y(); }
};

std::unique_ptr<PictureStep> make(const caffe::AugmentStep&, caffe::Phase) { return std::make_unique<VerticalFlip>(); }

REGISTER_STEP(vertical_flip, .field = "vertical_flip", .target = StepTarget::kWindow, .train_only = true, .make = make);

}  // namespace
}  // namespace trainer
