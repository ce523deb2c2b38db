// jpeg: the artefacts of JPEG compression of random quality.
#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Jpeg : public PictureStep {
 public:
  explicit Jpeg(const caffe::JpegStep& step) : step_(step) {}

  void apply(Picture& picture, Draws& draws) const override {
    const int64_t range = int64_t{step_.quality_max()} - step_.quality_min() + 1;
    picture.recompress(static_cast<int>(step_.quality_min() + draws.below(range)));
  }

 private:
  caffe::JpegStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  check_range(step.jpeg(), "quality", 1, 100, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Jpeg>(step.jpeg());
}

REGISTER_STEP(jpeg, .field = "jpeg", .target = StepTarget::kPixels, .train_only = true, .check = check, .make = make);

}  // namespace
}  // namespace trainer
