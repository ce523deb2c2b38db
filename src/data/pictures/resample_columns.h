// The step of resizing along columns: each row of the result is a weighted sum of consecutive rows.
#pragma once

#include "data/pictures/pixel_view.h"
#include "data/pictures/resampled_axis.h"

namespace trainer {

// Writes axis.first.size() rows of window.width pixels.
void resample_columns(const PixelWindow& window, const ResampledAxis& axis, uint8_t* out);

}  // namespace trainer
