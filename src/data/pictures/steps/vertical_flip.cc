// vertical_flip: turns pictures upside down with a probability.
#include "base/philox.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class VerticalFlip : public PictureStep {
 public:
  VerticalFlip(float probability, uint64_t key) : probability_(probability), key_(key) {}

  Sampling sample(const ItemShape& picture, uint64_t epoch, uint64_t position) const override {
    Sampling sampling(picture);
    if (philox(key_, epoch, position)[0] * 0x1p-32 < static_cast<double>(probability_)) sampling.y.flip();
    return sampling;
  }

 private:
  float probability_;
  uint64_t key_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  const float probability = step.vertical_flip().probability();
  if (!(probability >= 0 && probability <= 1))
    context.error_in(step.vertical_flip(), "probability", fmt::format("probability is {}", probability),
                     "it must be 0 to 1");
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, uint64_t key) {
  return std::make_unique<VerticalFlip>(step.vertical_flip().probability(), key);
}

REGISTER_STEP(vertical_flip, .field = "vertical_flip", .train_only = true, .check = check, .make = make);

}  // namespace
}  // namespace trainer
