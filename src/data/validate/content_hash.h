// A 64-bit hash of the values of a record, to find equal records.
#pragma once

#include <cstdint>

#include "data/pictures/pixel_view.h"

namespace trainer {

// Equal for records of equal extents and values, whether their channels are interleaved or not. Of a million different
// records, two have the same hash with a probability of 3e-8.
uint64_t content_hash(const PixelView& pixels);

}  // namespace trainer
