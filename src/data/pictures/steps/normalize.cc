// normalize: (value / 255 - mean) / std for each channel.
#include "data/pictures/steps/step.h"

namespace trainer {

namespace {

constexpr float kWhite = 255;
constexpr float kLeastStd = 1e-6f;  // below it, items have values of millions

class Normalize : public PictureStep {
 public:
  explicit Normalize(const caffe::NormalizeStep& step) {
    for (const float mean : step.mean()) mean_.push_back(kWhite * mean);
    for (const float deviation : step.std()) factor_.push_back(1 / (kWhite * deviation));
    if (mean_.empty()) mean_ = {0};
    if (factor_.empty()) factor_ = {1 / kWhite};
  }

  ItemShape output_shape(const ItemShape& picture) const override {
    const auto fits = [&](const std::vector<float>& values) {
      return values.size() == 1 || picture.channels == 0 || static_cast<int64_t>(values.size()) == picture.channels;
    };
    if (!fits(mean_) || !fits(factor_))
      throw data_error("it has {} channel{}, but normalize has {} mean and {} std: give 1{} of each", picture.channels,
                       picture.channels == 1 ? "" : "s", mean_.size(), factor_.size(),
                       picture.channels == 1 ? "" : fmt::format(" or {}", picture.channels));
    return picture;
  }

  void apply(Picture& picture, Draws&) const override { picture.normalize(mean_, factor_); }
  void show(ItemColors& colors) const override {
    colors.mean = mean_;
    colors.factor = factor_;
  }

 private:
  std::vector<float> mean_, factor_;
};

void check(const caffe::AugmentStep& step, SourceContext& context) {
  const caffe::NormalizeStep& normalize = step.normalize();
  const auto report = [&](const char* field, float value, const char* range) {
    context.error_in(
        normalize, field, fmt::format("{} is {}, but must be {}", field, value, range),
        "normalize takes 0 as black and 1 as white, so that std often is about 0.25: divide values for 0 to "
        "255 by 255");
  };
  for (const float mean : normalize.mean())
    if (!(mean >= -1 && mean <= 1)) report("mean", mean, "from -1 to 1");
  for (const float deviation : normalize.std())
    if (!(deviation >= kLeastStd && deviation <= 1)) report("std", deviation, "from 1e-6 to 1");
}

std::unique_ptr<PictureStep> make(const caffe::AugmentStep& step, caffe::Phase) {
  return std::make_unique<Normalize>(step.normalize());
}

REGISTER_STEP(normalize, .field = "normalize", .target = StepTarget::kItem, .check = check, .make = make);

}  // namespace
}  // namespace trainer
