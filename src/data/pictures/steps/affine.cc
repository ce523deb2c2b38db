// affine: turns, moves, scales and shears images, about their center, as torchvision's RandomAffine.
#include <cmath>

#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Affine : public PictureStep {
 public:
  explicit Affine(const caffe::AffineStep& step) : step_(step) {}

  void apply(Picture& picture, Draws& draws) const override {
    const ItemShape size = picture.shape();
    const auto moved = [&](float part, int64_t side) {
      const double most = static_cast<double>(part) * static_cast<double>(side);
      return std::nearbyint(draws.uniform(-most, most));
    };
    AffineMap map = about_centre(size);
    map.angle = draws.uniform(-step_.degrees(), step_.degrees());
    map.translate_x = moved(step_.translate_x(), size.width);
    map.translate_y = moved(step_.translate_y(), size.height);
    map.scale = draws.uniform(step_.scale_min(), step_.scale_max());
    map.shear_x = draws.uniform(-step_.shear(), step_.shear());
    picture.warp(warp_of(map), step_.bilinear(), static_cast<uint8_t>(step_.fill()));
  }

 private:
  caffe::AffineStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  const caffe::AffineStep& affine = step.affine();
  check_between(affine, "degrees", 0, 180, context);
  check_between(affine, "translate_x", 0, 1, context);
  check_between(affine, "translate_y", 0, 1, context);
  check_range(affine, "scale", 1e-2, 1e2, context);
  check_between(affine, "shear", 0, 80, context);
  check_between(affine, "fill", 0, 255, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Affine>(step.affine());
}

REGISTER_STEP(affine, .field = "affine", .target = StepTarget::kPixels, .train_only = true, .check = check,
              .make = make);

}  // namespace
}  // namespace trainer
