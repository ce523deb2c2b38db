// Extents as text.
#include "data/pictures/pixel_view.h"

#include <fmt/format.h>

namespace trainer {

std::string ItemShape::text() const { return fmt::format("{}x{}x{}", channels, height, width); }

}  // namespace trainer
