// color_jitter: changes brightness, contrast, saturation and hue by random factors, in random order, as torchvision's
// ColorJitter.
#include <algorithm>
#include <array>
#include <utility>

#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class ColorJitter : public PictureStep {
 public:
  explicit ColorJitter(const caffe::ColorJitterStep& step) : step_(step) {}

  void apply(Picture& picture, Draws& draws) const override {
    std::array<int, 4> order = {0, 1, 2, 3};
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[static_cast<size_t>(draws.below(static_cast<int64_t>(i)))]);
    const auto factor = [&](float strength) {
      const auto most = static_cast<double>(strength);
      return static_cast<float>(draws.uniform(std::max(0.0, 1 - most), 1 + most));
    };
    const float brightness = factor(step_.brightness()), contrast = factor(step_.contrast()),
                saturation = factor(step_.saturation());
    const auto hue = static_cast<float>(draws.uniform(-step_.hue(), step_.hue()));
    const ColorPixels image = picture.colors();
    for (const int change : order) {
      switch (change) {
        case 0:
          if (brightness != 1) adjust_brightness(image, brightness);
          break;
        case 1:
          if (contrast != 1) adjust_contrast(image, contrast);
          break;
        case 2:
          if (saturation != 1) adjust_saturation(image, saturation);
          break;
        default: adjust_hue(image, hue);
      }
    }
  }

 private:
  caffe::ColorJitterStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  const caffe::ColorJitterStep& jitter = step.color_jitter();
  for (const char* field : {"brightness", "contrast", "saturation"}) check_between(jitter, field, 0, 100, context);
  check_between(jitter, "hue", 0, 0.5, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<ColorJitter>(step.color_jitter());
}

REGISTER_STEP(color_jitter, .field = "color_jitter", .target = StepTarget::kPixels, .train_only = true, .check = check,
              .make = make);

}  // namespace
}  // namespace trainer
