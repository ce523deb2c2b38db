// Permute: axis i of the top is axis order[i] of the bottom; axes that `order` omits follow in ascending order.
#include <algorithm>

#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const Shape& input = context.shape(0);
  std::vector<int> axes;
  for (uint32_t entry : context.param().permute_param().order()) {
    const int axis = static_cast<int>(entry);
    if (entry >= static_cast<uint32_t>(input.rank()))
      context.fail("permute_param.order",
                   fmt::format("order names axis {}, but \"{}\" ({}) has {} axes", entry, context.param().bottom(0),
                               input.text(), input.rank()),
                   "axes count from 0");
    if (std::count(axes.begin(), axes.end(), axis) > 0)
      context.fail("permute_param.order", fmt::format("order names axis {} twice", axis), "name each axis once");
    axes.push_back(axis);
  }
  for (int axis = 0; axis < input.rank(); ++axis)
    if (std::count(axes.begin(), axes.end(), axis) == 0) axes.push_back(axis);
  context.set_top(0, std::is_sorted(axes.begin(), axes.end()) ? context.bottom(0) : permute(context.bottom(0), axes));
}

REGISTER_LAYER(permute, .type = "Permute", .summary = "reorders the axes of a blob", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "permute" type: "Permute" bottom: "x" top: "y" permute_param { order: 0 order: 2 order: 3 order: 1 } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
