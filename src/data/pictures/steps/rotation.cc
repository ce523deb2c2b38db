// rotation: turns images about their center by a random angle.
#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Rotation : public PictureStep {
 public:
  explicit Rotation(const caffe::RotationStep& step) : step_(step) {}

  void apply(Picture& picture, Draws& draws) const override {
    AffineMap map = about_centre(picture.shape());
    map.angle = draws.uniform(-step_.degrees(), step_.degrees());
    picture.warp(warp_of(map), step_.bilinear(), static_cast<uint8_t>(step_.fill()));
  }

 private:
  caffe::RotationStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  check_between(step.rotation(), "degrees", 0, 180, context);
  check_between(step.rotation(), "fill", 0, 255, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Rotation>(step.rotation());
}

REGISTER_STEP(rotation, .field = "rotation", .target = StepTarget::kPixels, .train_only = true, .check = check,
              .make = make);

}  // namespace
}  // namespace trainer
