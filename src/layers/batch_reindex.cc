// BatchReindex: y[i] = x[index[i]] along axis 0. The gradient of an item is the sum over its copies; the indices take
// no gradient.
#include "layers/layer.h"
#include "layers/shared/rows_by_index.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  if (context.shape(1).rank() != 1)
    context.fail("bottom[1]",
                 fmt::format("the indices \"{}\" are {}", context.param().bottom(1), context.shape(1).text()),
                 "they need one axis");
  if (context.shape(0).rank() < 1) context.fail("bottom[0]", "a scalar has no items to choose from");
  context.set_top(0, rows_by_index(context, context.bottom(0), context.bottom(1)));
}

REGISTER_LAYER(batch_reindex, .type = "BatchReindex", .summary = "chooses and repeats items of a batch by index",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 } } }
layer { name: "index" type: "Input" top: "index" input_param { shape { dim: 4 } } }
layer { name: "reindex" type: "BatchReindex" bottom: "x" bottom: "index" top: "y" }
)",
               .label_bottoms = {1}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
