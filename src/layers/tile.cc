// Tile: its bottom repeated `tiles` times along `axis`.
#include "layers/layer.h"
#include "layers/shared/given_shape.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::TileParameter& param = context.param().tile_param();
  const int axis = context.canonical_axis(param.axis(), context.shape(0).rank(), "tile_param.axis");
  if (param.tiles() <= 0)
    context.fail("tile_param.tiles", param.has_tiles() ? fmt::format("tiles is {}", param.tiles()) : "tiles is missing",
                 "give the number of copies, at least 1");
  const Shape& shape = context.shape(0);
  Shape tiled = shape;
  tiled[axis] *= param.tiles();
  check_top(context, 0, tiled);
  const int64_t outer = shape.count(0, axis), inner = shape.count(axis);
  const Value once = reshape(context.bottom(0), Shape{outer, 1, inner});
  context.set_top(0, reshape(broadcast_to(once, Shape{outer, param.tiles(), inner}), tiled));
}

REGISTER_LAYER(tile, .type = "Tile", .summary = "repeats a blob along an axis", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "tile" type: "Tile" bottom: "x" top: "y" tile_param { axis: 1 tiles: 3 } }
)");

}  // namespace
}  // namespace trainer
