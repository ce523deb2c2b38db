// random_crop: cuts out a rectangle at a random place, after a border was added on request; in TEST the center of the
// image without a border.
#include "base/error.h"
#include "data/pictures/steps/crop.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class RandomCrop : public PictureStep {
 public:
  RandomCrop(const caffe::RandomCropStep& step, bool random)
      : size_(size_of(step)),
        padding_(random ? step.padding() : 0),
        unused_padding_(random ? 0 : step.padding()),
        fill_(static_cast<uint8_t>(step.fill())),
        random_(random) {}

  ItemShape output_shape(const ItemShape& picture) const override {
    const bool known = picture.height > 0;
    if (known && unused_padding_ > 0 && (size_.height > picture.height || size_.width > picture.width))
      throw data_error(
          "a crop of {}x{} is larger than the image, which is {}x{}, and the padding of random_crop applies to phase "
          "TRAIN only: give the layer of phase TEST a smaller crop, or a resize step before it",
          size_.height, size_.width, picture.height, picture.width);
    return cropped(padded(picture), size_);
  }

  PicturePart part(const ItemShape& picture, Draws& draws) const override {
    return padding_ > 0 ? PicturePart(picture) : PicturePart(draw(picture, draws));
  }

  void apply(Picture& picture, Draws& draws) const override {
    const ItemShape shape = padded(picture.shape());
    if (padding_ > 0) picture.place(shape.height, shape.width, padding_, padding_, fill_);
    picture.crop(draw(shape, draws));
  }

 private:
  // Of a picture with its border.
  Rectangle draw(const ItemShape& picture, Draws& draws) const {
    if (!random_) return centre_of(picture, size_);
    const int64_t y = draws.below(picture.height - size_.height + 1);
    return {y, draws.below(picture.width - size_.width + 1), size_.height, size_.width};
  }

  ItemShape padded(const ItemShape& picture) const {
    if (picture.height == 0) return picture;  // unknown
    return {picture.channels, picture.height + 2 * padding_, picture.width + 2 * padding_};
  }

  StepSize size_;
  int64_t padding_, unused_padding_;
  uint8_t fill_;
  bool random_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  check_size(step.random_crop(), context);
  check_between(step.random_crop(), "padding", 0, kLargestSide, context);
  check_between(step.random_crop(), "fill", 0, 255, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase phase) {
  return std::make_unique<RandomCrop>(step.random_crop(), phase == caffe::TRAIN);
}

REGISTER_STEP(random_crop, .field = "random_crop", .target = StepTarget::kPixels, .check = check, .make = make);

}  // namespace
}  // namespace trainer
