// grayscale: gives all channels of images the grey value with a probability.
#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Grayscale : public PictureStep {
 public:
  explicit Grayscale(const caffe::GrayscaleStep& step) : probability_(static_cast<double>(step.probability())) {}

  void apply(Picture& picture, Draws& draws) const override {
    if (draws.chance(probability_)) make_gray(picture.colors());
  }

 private:
  double probability_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) { check_probability(step.grayscale(), context); }

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Grayscale>(step.grayscale());
}

REGISTER_STEP(grayscale, .field = "grayscale", .target = StepTarget::kPixels, .train_only = true, .check = check,
              .make = make);

}  // namespace
}  // namespace trainer
