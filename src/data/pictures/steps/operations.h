// The operations of RandAugment and TrivialAugment: E. Cubuk et al., "RandAugment", 2019; S. Müller and F. Hutter,
// "TrivialAugment", ICCV 2021; with torchvision's tables of strengths.
#pragma once

#include <cstdint>

#include "data/pictures/draws.h"
#include "data/pictures/picture.h"

namespace trainer {

enum class Operation {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColor,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kAutoContrast,
  kEqualize,
};
constexpr int kOperations = 14;

// The strength of each operation at its highest level. The levels below are evenly spaced, from 0.
struct Strengths {
  double shear;        // a slope
  double translate_x;  // pixels
  double translate_y;  // pixels
  double rotate;       // degrees
  double color;        // of brightness, color, contrast and sharpness: the distance of the factor from 1
  double bits;         // that posterize removes
};

// The strength `level` of the levels 0 to levels - 1. `negative` inverts operations with a direction.
struct Strength {
  int level = 0, levels = 1;
  bool negative = false;
};

void apply_operation(Picture& picture, Operation operation, const Strengths& most, const Strength& strength,
                     bool bilinear, uint8_t fill);

}  // namespace trainer
