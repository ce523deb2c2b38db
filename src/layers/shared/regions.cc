// Checks regions and computes bins.
#include "layers/shared/regions.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace trainer {

int64_t check_regions(LayerContext& context) {
  if (context.shape(0).rank() != 4)
    context.fail("bottom[0]", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), context.shape(0).text()),
                 "it needs 4 axes: (N, C, H, W)");
  const Shape& regions = context.shape(1);
  if (regions.rank() < 2 || regions.count(1) != 5)
    context.fail("bottom[1]", fmt::format("the regions \"{}\" are {}", context.param().bottom(1), regions.text()),
                 "they need the shape (regions, 5): item, x1, y1, x2, y2");
  return regions[0];
}

void check_region_rows(const float* rows, int64_t count, int64_t items, const std::string& layer) {
  constexpr float kFarthest = 1e9f;
  for (int64_t i = 0; i < count; ++i) {
    const float* row = rows + i * 5;
    if (!(row[0] >= 0 && row[0] < static_cast<float>(items)))
      throw data_error("{}: region {} names item {}, which is outside [0, {}), the items of the batch", layer, i,
                       row[0], items);
    for (int k = 1; k < 5; ++k) {
      if (!(std::fabs(row[k]) < kFarthest)) throw data_error("{}: region {} has a corner at {}", layer, i, row[k]);
    }
  }
}

Bin bin_of(float begin, float end, int64_t extent) {
  const auto within = [&](float at) { return static_cast<int64_t>(std::clamp(at, 0.0f, static_cast<float>(extent))); };
  return {within(std::floor(begin)), within(std::ceil(end))};
}

}  // namespace trainer
