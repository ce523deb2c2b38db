// center_crop: cuts out the center.
#include "data/pictures/steps/crop.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class CenterCrop : public PictureStep {
 public:
  explicit CenterCrop(const StepSize& size) : size_(size) {}

  ItemShape output_shape(const ItemShape& picture) const override { return cropped(picture, size_); }
  PicturePart part(const ItemShape& picture, Draws&) const override { return PicturePart(centre_of(picture, size_)); }
  void apply(Picture& picture, Draws&) const override { picture.crop(centre_of(picture.shape(), size_)); }

 private:
  StepSize size_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) { check_size(step.center_crop(), context); }

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<CenterCrop>(size_of(step.center_crop()));
}

REGISTER_STEP(center_crop, .field = "center_crop", .target = StepTarget::kWindow, .check = check, .make = make);

}  // namespace
}  // namespace trainer
