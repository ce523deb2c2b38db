// random_resized_crop: a rectangle of random area and shape, resized; in TEST the central square of 7/8 of the shorter
// side.
#include <cmath>

#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

// The central part of a size.
Rectangle centred(const ItemShape& picture, int64_t height, int64_t width) {
  return {(picture.height - height) / 2, (picture.width - width) / 2, height, width};
}

class RandomResizedCrop : public PictureStep {
 public:
  RandomResizedCrop(const caffe::RandomResizedCropStep& step, bool random)
      : step_(step), size_(size_of(step)), filter_(filter_of(step.filter())), random_(random) {}

  ItemShape output_shape(const ItemShape& picture) const override {
    return {picture.channels, size_.height, size_.width};
  }

  PicturePart part(const ItemShape& picture, Draws& draws) const override {
    PicturePart part(rectangle(picture, draws));
    part.height = size_.height;
    part.width = size_.width;
    return part;
  }

  void apply(Picture& picture, Draws& draws) const override {
    picture.crop(rectangle(picture.shape(), draws));
    picture.resize(size_.height, size_.width, filter_);
  }

 private:
  Rectangle rectangle(const ItemShape& picture, Draws& draws) const {
    return random_ ? draw(picture, draws) : central(picture);
  }

  // As torchvision's RandomResizedCrop: ten attempts, then the largest central rectangle of a shape in the range.
  Rectangle draw(const ItemShape& picture, Draws& draws) const {
    const double height = static_cast<double>(picture.height), width = static_cast<double>(picture.width);
    const double low = static_cast<double>(step_.ratio_min()), high = static_cast<double>(step_.ratio_max());
    constexpr int kAttempts = 10;
    for (int i = 0; i < kAttempts; ++i) {
      const double area = height * width * draws.uniform(step_.scale_min(), step_.scale_max());
      const double ratio = std::exp(draws.uniform(std::log(low), std::log(high)));
      const int64_t w = rounded(std::sqrt(area * ratio)), h = rounded(std::sqrt(area / ratio));
      if (w < 1 || h < 1 || w > picture.width || h > picture.height) continue;
      const int64_t y = draws.below(picture.height - h + 1);
      return {y, draws.below(picture.width - w + 1), h, w};
    }
    const double ratio = width / height;
    if (ratio < low) return centred(picture, std::max<int64_t>(rounded(width / low), 1), picture.width);
    if (ratio > high) return centred(picture, picture.height, std::max<int64_t>(rounded(height * high), 1));
    return centred(picture, picture.height, picture.width);
  }

  // Of the shape of the result.
  Rectangle central(const ItemShape& picture) const {
    constexpr double kPart = 0.875;
    const double scale = kPart * std::min(static_cast<double>(picture.height) / static_cast<double>(size_.height),
                                          static_cast<double>(picture.width) / static_cast<double>(size_.width));
    const auto side = [&](int64_t extent) {
      return std::max<int64_t>(rounded(scale * static_cast<double>(extent)), 1);
    };
    return centred(picture, side(size_.height), side(size_.width));
  }

  caffe::RandomResizedCropStep step_;
  StepSize size_;
  ResampleFilter filter_;
  bool random_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  check_size(step.random_resized_crop(), context);
  check_range(step.random_resized_crop(), "scale", 1e-4, 1, context);
  check_range(step.random_resized_crop(), "ratio", 1e-2, 1e2, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase phase) {
  return std::make_unique<RandomResizedCrop>(step.random_resized_crop(), phase == caffe::TRAIN);
}

REGISTER_STEP(random_resized_crop, .field = "random_resized_crop", .target = StepTarget::kPixels, .check = check,
              .make = make);

}  // namespace
}  // namespace trainer
