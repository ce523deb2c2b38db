// grayscale: gives all channels of images the grey value with a probability.
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Grayscale : public PictureStep {
 public:
  void apply(Picture& picture, Draws&) const override { make_gray(picture.colors()); }
};

std::unique_ptr<PictureStep> make(const caffe::AugmentStep&, caffe::Phase) { return std::make_unique<Grayscale>(); }

REGISTER_STEP(grayscale, .field = "grayscale", .target = StepTarget::kPixels, .train_only = true, .make = make);

}  // namespace
}  // namespace trainer
