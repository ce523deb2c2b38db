// blur: a Gaussian blur of random strength.
#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Blur : public PictureStep {
 public:
  explicit Blur(const caffe::BlurStep& step) : step_(step) {}

  void apply(Picture& picture, Draws& draws) const override {
    picture.blur(static_cast<int>(step_.kernel()), draws.uniform(step_.sigma_min(), step_.sigma_max()));
  }

 private:
  caffe::BlurStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  check_between(step.blur(), "kernel", 1, 99, context);
  if (step.blur().kernel() % 2 == 0)
    context.error_in(step.blur(), "kernel", fmt::format("kernel is {}", step.blur().kernel()), "it must be odd");
  check_range(step.blur(), "sigma", 1e-2, 1e2, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Blur>(step.blur());
}

REGISTER_STEP(blur, .field = "blur", .target = StepTarget::kPixels, .train_only = true, .check = check, .make = make);

}  // namespace
}  // namespace trainer
