// Fields that several steps have, with their checks.
#pragma once

#include <optional>
#include <string>

#include "data/pictures/resample.h"
#include "data/pictures/resize.h"
#include "data/pictures/warp.h"
#include "data/source_context.h"

namespace trainer {

// Reports a number field that is not in [low, high], or is not a number.
void check_between(const google::protobuf::Message& step, const std::string& field, double low, double high,
                   SourceContext& context);
// The field `probability`; nullopt for a message without it.
std::optional<double> probability_of(const google::protobuf::Message& step);
// Reports NAME_min and NAME_max that are not in [low, high] or not in order.
void check_range(const google::protobuf::Message& step, const std::string& name, double low, double high,
                 SourceContext& context);

// The extents that a step's fields give: `size`, for a square, or `height` and `width`.
struct StepSize {
  int64_t height = 0, width = 0;
};
template <typename Step>
StepSize size_of(const Step& step) {
  if (step.has_size()) return {step.size(), step.size()};
  return {step.height(), step.width()};
}
// Reports fields that give no such extents.
void check_size(const google::protobuf::Message& step, SourceContext& context);

// An affine map about the center of a picture.
inline AffineMap about_centre(const ItemShape& picture) {
  AffineMap map;
  map.centre_x = static_cast<double>(picture.width) / 2;
  map.centre_y = static_cast<double>(picture.height) / 2;
  return map;
}

inline ResampleFilter filter_of(caffe::AugmentStep::ResizeFilter filter) {
  return filter == caffe::AugmentStep::BICUBIC ? ResampleFilter::kBicubic : ResampleFilter::kBilinear;
}

}  // namespace trainer
