// Cropping, for several steps.
#pragma once

#include "data/pictures/picture.h"
#include "data/pictures/steps/fields.h"

namespace trainer {

// The extents after a crop of a picture, whose own may be 0: unknown. Throws data_error if the picture is too small.
ItemShape cropped(const ItemShape& picture, const StepSize& size);
Rectangle centre_of(const ItemShape& picture, const StepSize& size);

}  // namespace trainer
