// Crop: bottom 0 cropped to the extents of bottom 1 from `axis` (default 2) on. `offset` is the start of the crop: one
// value for each of these axes, or one for all; default 0. Bottom 1 takes no gradient.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::CropParameter& param = context.param().crop_param();
  const Shape& from = context.shape(0);
  const Shape& like = context.shape(1);
  const int first = context.canonical_axis(param.axis(), from.rank(), "crop_param.axis");
  if (like.rank() != from.rank())
    context.fail("bottom",
                 fmt::format("\"{}\" is {}, \"{}\" is {}", context.param().bottom(0), from.text(),
                             context.param().bottom(1), like.text()),
                 "both bottoms must have the same number of axes");
  if (param.offset_size() > 1 && param.offset_size() != from.rank() - first)
    context.fail("crop_param.offset",
                 fmt::format("{} offsets for {} cropped axes", param.offset_size(), from.rank() - first),
                 "give one for each axis from `axis` on, one for all, or none");
  Value y = context.bottom(0);
  for (int axis = first; axis < from.rank(); ++axis) {
    const int64_t offset = param.offset_size() == 0   ? 0
                           : param.offset_size() == 1 ? param.offset(0)
                                                      : param.offset(axis - first);
    if (from[axis] - offset < like[axis])
      context.fail("crop_param",
                   fmt::format("the crop for dimension {} is out-of-bounds with size {} and offset {}: \"{}\" is {}",
                               axis, like[axis], offset, context.param().bottom(0), from.text()),
                   "use a smaller offset");
    y = slice(y, axis, offset, offset + like[axis]);
  }
  context.set_top(0, y);
}

REGISTER_LAYER(crop, .type = "Crop", .summary = "crops a blob to the size of another", .min_bottoms = 2,
               .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "like" type: "Input" top: "like" input_param { shape { dim: 2 dim: 3 dim: 2 dim: 3 } } }
layer { name: "crop" type: "Crop" bottom: "x" bottom: "like" top: "y" crop_param { axis: 2 offset: 2 offset: 1 } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
