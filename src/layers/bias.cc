// Bias: y = x + b, with b along some axes of x.
//   one bottom   b is learned; its shape is x.shape[axis : axis + num_axes], by default (C)
//   two bottoms  b is bottom 1, whose shape is that of x from `axis` on; a scalar is added to all elements
#include "layers/layer.h"
#include "layers/shared/axis_view.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::BiasParameter& param = context.param().bias_param();
  const Value x = context.bottom(0);
  const bool learned = context.bottoms() == 1;
  const CoveredAxes covered = learned ? covered_axes(context, "bias_param", param.axis(), param.num_axes())
                                      : covered_by_bottom(context, "bias_param", param.axis());
  const Value bias = learned ? context.parameter(covered.shape, &param.filler()) : context.bottom(1);
  context.set_top(0, x + broadcast_view(bias, covered, x.shape().rank()));
}

REGISTER_LAYER(bias, .type = "Bias", .summary = "adds a learned or given blob along some axes", .min_bottoms = 1,
               .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "bias" type: "Bias" bottom: "x" top: "y" bias_param { filler { type: "uniform" min: -1 max: 1 } } }
)");

}  // namespace
}  // namespace trainer
