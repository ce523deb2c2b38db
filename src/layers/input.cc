// Input: tops of given shapes, which the caller of the library fills. No bottoms.
#include "layers/layer.h"
#include "layers/shared/given_shape.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const std::vector<Shape> given = context.given_shapes();
  if (!given.empty()) {
    for (int i = 0; i < context.tops(); ++i) context.set_top(i, context.source(i, given[static_cast<size_t>(i)]));
    return;
  }
  const caffe::InputParameter& param = context.param().input_param();
  if (param.shape_size() != 1 && param.shape_size() != context.tops())
    context.fail("input_param", fmt::format("{} shapes for {} tops", param.shape_size(), context.tops()),
                 "give input_param { shape { dim: ... } } once, or once for each top");
  for (int i = 0; i < context.tops(); ++i)
    context.set_top(
        i, context.source(i, given_shape(context, param.shape(param.shape_size() == 1 ? 0 : i), "input_param.shape")));
}

REGISTER_LAYER(input, .type = "Input", .summary = "blobs that the caller fills", .min_bottoms = 0, .max_bottoms = 0,
               .min_tops = 1, .max_tops = kAnyNumber, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
)");

}  // namespace
}  // namespace trainer
