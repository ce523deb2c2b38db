// One operation of a strength.
#include "data/pictures/steps/operations.h"

#include <cmath>

#include "data/pictures/steps/fields.h"

namespace trainer {

namespace {

constexpr double kDegrees = 180 / 3.14159265358979323846;

// Shears leave the upper left corner in its place.
AffineMap sheared(double x, double y) {
  AffineMap map;
  map.shear_x = std::atan(x) * kDegrees;
  map.shear_y = std::atan(y) * kDegrees;
  return map;
}

AffineMap moved(double x, double y) {
  AffineMap map;
  map.translate_x = std::trunc(x);
  map.translate_y = std::trunc(y);
  return map;
}

AffineMap turned(const Picture& picture, double degrees) {
  AffineMap map = about_centre(picture.shape());
  map.angle = -degrees;
  return map;
}

}  // namespace

void apply_operation(Picture& picture, Operation operation, const Strengths& most, const Strength& strength,
                     bool bilinear, uint8_t fill) {
  const double part = strength.levels < 2 ? 1 : static_cast<double>(strength.level) / (strength.levels - 1);
  const double sign = strength.negative ? -1 : 1;
  const auto warp = [&](const AffineMap& map) { picture.warp(warp_of(map), bilinear, fill); };
  const auto factor = static_cast<float>(1 + sign * part * most.color);
  switch (operation) {
    case Operation::kIdentity: return;
    case Operation::kShearX: return warp(sheared(sign * part * most.shear, 0));
    case Operation::kShearY: return warp(sheared(0, sign * part * most.shear));
    case Operation::kTranslateX: return warp(moved(sign * part * most.translate_x, 0));
    case Operation::kTranslateY: return warp(moved(0, sign * part * most.translate_y));
    case Operation::kRotate: return warp(turned(picture, sign * part * most.rotate));
    case Operation::kBrightness: return adjust_brightness(picture.colors(), factor);
    case Operation::kColor: return adjust_saturation(picture.colors(), factor);
    case Operation::kContrast: return adjust_contrast(picture.colors(), factor);
    case Operation::kSharpness: return picture.sharpen(factor);
    case Operation::kPosterize:
      return posterize(picture.colors(), 8 - static_cast<int>(std::nearbyint(part * most.bits)));
    case Operation::kSolarize: return solarize(picture.colors(), static_cast<float>(255 * (1 - part)));
    case Operation::kAutoContrast: return auto_contrast(picture.colors());
    case Operation::kEqualize: return equalize(picture.colors());
  }
}

}  // namespace trainer
