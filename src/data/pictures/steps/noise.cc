// noise: adds normal noise to each byte.
#include <algorithm>
#include <cmath>

#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Noise : public PictureStep {
 public:
  explicit Noise(const caffe::NoiseStep& step) : step_(step) {}

  void apply(Picture& picture, Draws& draws) const override {
    constexpr float kWhite = 255;
    const float deviation = kWhite * step_.deviation();
    // A key for this image, so that the noise does not repeat.
    const uint64_t high = draws.bits(), key = high << 32 | draws.bits();
    const ColorPixels image = picture.colors();
    for (int64_t i = 0; i < image.size(); ++i) {
      const float value = image.bytes[i] + deviation * philox_normal(key, 0, static_cast<uint64_t>(i));
      image.bytes[i] = static_cast<uint8_t>(std::nearbyint(std::clamp(value, 0.0f, kWhite)));
    }
  }

 private:
  caffe::NoiseStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  check_between(step.noise(), "deviation", 0, 1, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Noise>(step.noise());
}

REGISTER_STEP(noise, .field = "noise", .target = StepTarget::kPixels, .train_only = true, .check = check, .make = make);

}  // namespace
}  // namespace trainer
