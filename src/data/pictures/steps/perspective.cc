// perspective: moves each corner of images inwards by random distances, as torchvision's RandomPerspective.
#include "data/pictures/steps/fields.h"
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

class Perspective : public PictureStep {
 public:
  explicit Perspective(const caffe::PerspectiveStep& step) : step_(step) {}

  void apply(Picture& picture, Draws& draws) const override {
    const ItemShape size = picture.shape();
    const auto most = [&](int64_t side) {
      const int64_t half = side / 2;
      return static_cast<int64_t>(static_cast<double>(step_.distortion()) * static_cast<double>(half));
    };
    const int64_t x = most(size.width), y = most(size.height);
    const auto right = static_cast<double>(size.width - 1), lower = static_cast<double>(size.height - 1);
    const auto drawn = [&](int64_t bound) { return static_cast<double>(draws.below(bound + 1)); };
    const std::array<Point, 4> from = {{{0, 0}, {right, 0}, {right, lower}, {0, lower}}};
    std::array<Point, 4> to = from;
    for (size_t corner = 0; corner < to.size(); ++corner) {
      const double dx = drawn(x), dy = drawn(y);
      to[corner].x += from[corner].x == 0 ? dx : -dx;
      to[corner].y += from[corner].y == 0 ? dy : -dy;
    }
    picture.warp(warp_of(from, to), step_.bilinear(), static_cast<uint8_t>(step_.fill()));
  }

 private:
  caffe::PerspectiveStep step_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  // Beyond it, corners could meet.
  check_between(step.perspective(), "distortion", 0, 0.9, context);
  check_between(step.perspective(), "fill", 0, 255, context);
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Perspective>(step.perspective());
}

REGISTER_STEP(perspective, .field = "perspective", .target = StepTarget::kPixels, .train_only = true, .check = check,
              .make = make);

}  // namespace
}  // namespace trainer
