// DropPath: y = x * m / (1 - p) in TRAIN, with one m for each item, drawn in every pass: 1 with probability 1 - p, else
// 0; y = x in TEST. p is drop_ratio. It ends a residual branch, before the sum (Huang et al., "Deep Networks with
// Stochastic Depth", 2016). Any shape of at least one axis; the first axis is that of the items.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const float ratio = context.param().drop_path_param().drop_ratio();
  if (!(ratio >= 0 && ratio < 1))
    context.fail("drop_path_param.drop_ratio", fmt::format("drop_ratio is {}", ratio),
                 "the fraction of items to drop must be at least 0 and less than 1");
  const Value x = context.bottom(0);
  if (x.shape().rank() < 1) context.fail("bottom[0]", "a scalar has no items to drop");
  if (context.phase() == caffe::TEST || ratio == 0) return context.set_top(0, x);
  std::vector<int64_t> items(static_cast<size_t>(x.shape().rank()), 1);
  items[0] = x.shape()[0];
  const Value keep = greater(random_uniform(context.graph(), Shape(items), context.random_key("mask")), ratio);
  context.set_top(0, x * (keep * (1 / (1 - ratio))));
}

REGISTER_LAYER(drop_path, .type = "DropPath", .summary = "zeroes a random fraction of the items during training",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 2 dim: 4 } } }
layer { name: "branch" type: "TanH" bottom: "x" top: "branch" }
layer { name: "drop" type: "DropPath" bottom: "branch" top: "dropped" drop_path_param { drop_ratio: 0.4 } }
layer { name: "sum" type: "Eltwise" bottom: "x" bottom: "dropped" top: "y" }
)");

}  // namespace
}  // namespace trainer
