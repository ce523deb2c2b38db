// Split: every top is the bottom. No net needs it, because any number of layers can read a blob; nets that Caffe saved
// contain it.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  for (int i = 0; i < context.tops(); ++i) context.set_top(i, context.bottom(0));
}

REGISTER_LAYER(split, .type = "Split", .summary = "the same blob under several names", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = kAnyNumber, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "split" type: "Split" bottom: "x" top: "y" top: "z" }
)");

}  // namespace
}  // namespace trainer
