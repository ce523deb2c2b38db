// erase: overwrites a random rectangle of the item with one value.
#include <cmath>

#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Erase : public PictureStep {
 public:
  explicit Erase(const caffe::EraseStep& step) : step_(step) {}

  // As torchvision's RandomErasing: ten attempts, then none.
  void apply(Picture& picture, Draws& draws) const override {
    const ItemShape shape = picture.shape();
    const double area = static_cast<double>(shape.height * shape.width);
    constexpr int kAttempts = 10;
    for (int i = 0; i < kAttempts; ++i) {
      const double part = area * draws.uniform(step_.scale_min(), step_.scale_max());
      const double ratio = std::exp(draws.uniform(std::log(static_cast<double>(step_.ratio_min())),
                                                  std::log(static_cast<double>(step_.ratio_max()))));
      const int64_t height = static_cast<int64_t>(std::nearbyint(std::sqrt(part * ratio)));
      const int64_t width = static_cast<int64_t>(std::nearbyint(std::sqrt(part / ratio)));
      if (height >= shape.height || width >= shape.width) continue;
      const int64_t y = draws.below(shape.height - height + 1);
      return picture.erase({y, draws.below(shape.width - width + 1), height, width, step_.value()});
    }
  }

 private:
  caffe::EraseStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  check_range(step.erase(), "scale", 0, 1, context);
  check_range(step.erase(), "ratio", 1e-2, 1e2, context);
  if (!std::isfinite(step.erase().value()))
    context.error_in(step.erase(), "value", fmt::format("value is {}", step.erase().value()),
                     "it must be a finite number");
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Erase>(step.erase());
}

REGISTER_STEP(erase, .field = "erase", .target = StepTarget::kItem, .train_only = true, .check = check, .make = make);

}  // namespace
}  // namespace trainer
