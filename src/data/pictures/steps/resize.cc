// resize: to a shorter side, to a size, or into a size with a border (letterbox).
#include <algorithm>
#include <cmath>

#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Resize : public PictureStep {
 public:
  explicit Resize(const caffe::ResizeStep& step)
      : size_(size_of(step)),
        short_side_(step.short_side()),
        letterbox_(step.letterbox()),
        fill_(static_cast<uint8_t>(step.fill())),
        filter_(filter_of(step.filter())) {}

  ItemShape output_shape(const ItemShape& picture) const override {
    if (short_side_ > 0 && picture.height == 0) return picture;  // unknown
    const StepSize size = short_side_ > 0 ? scaled(picture) : size_;
    return {picture.channels, size.height, size.width};
  }

  PicturePart part(const ItemShape& picture, Draws&) const override {
    PicturePart whole(picture);
    const StepSize size = resized(picture);
    whole.height = size.height;
    whole.width = size.width;
    return whole;
  }

  void apply(Picture& picture, Draws&) const override {
    const StepSize size = resized(picture.shape());
    picture.resize(size.height, size.width, filter_);
    if (letterbox_)
      picture.place(size_.height, size_.width, (size_.height - size.height) / 2, (size_.width - size.width) / 2, fill_);
  }

 private:
  StepSize resized(const ItemShape& picture) const {
    return short_side_ > 0 ? scaled(picture) : letterbox_ ? fitted(picture) : size_;
  }

  // The longer side is rounded down, as in torchvision.
  StepSize scaled(const ItemShape& picture) const {
    const int64_t shorter = std::min(picture.height, picture.width), longer = std::max(picture.height, picture.width);
    const int64_t side = short_side_ * longer / shorter;
    if (side > kLargestSide)
      throw data_error("an image of {}x{} cannot be resized to a shorter side of {}: the longer one would be {}",
                       picture.height, picture.width, short_side_, side);
    return picture.height < picture.width ? StepSize{short_side_, side} : StepSize{side, short_side_};
  }

  // The largest extents within the size that keep the proportions.
  StepSize fitted(const ItemShape& picture) const {
    const double height = static_cast<double>(picture.height), width = static_cast<double>(picture.width);
    const double scale = std::min(static_cast<double>(size_.height) / height, static_cast<double>(size_.width) / width);
    const auto side = [&](double extent, int64_t most) {
      return std::clamp<int64_t>(static_cast<int64_t>(std::nearbyint(extent * scale)), 1, most);
    };
    return {side(height, size_.height), side(width, size_.width)};
  }

  StepSize size_;
  int64_t short_side_;
  bool letterbox_;
  uint8_t fill_;
  ResampleFilter filter_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  const caffe::ResizeStep& resize = step.resize();
  check_between(resize, "fill", 0, 255, context);
  if (!resize.has_short_side()) {
    if (!resize.has_size() && !resize.has_height() && !resize.has_width())
      return context.error_in(resize, "", "the size is missing",
                              "give short_side (the proportions stay), size (for a square), or height and width");
    return check_size(resize, context);
  }
  check_between(resize, "short_side", 1, kLargestSide, context);
  if (resize.has_size() || resize.has_height() || resize.has_width())
    context.error_in(resize, "short_side", "both short_side and another size are given", "keep one");
  if (resize.letterbox())
    context.error_in(resize, "letterbox", "letterbox needs a size to fill",
                     "give size, or height and width, instead of short_side");
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Resize>(step.resize());
}

REGISTER_STEP(resize, .field = "resize", .target = StepTarget::kPixels, .check = check, .make = make);

}  // namespace
}  // namespace trainer
