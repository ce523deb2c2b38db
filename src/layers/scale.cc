// Scale: y = x * s (+ b), with s and b along some axes of x.
//   one bottom   s is learned; its shape is x.shape[axis : axis + num_axes], by default (C)
//   two bottoms  s is bottom 1, whose shape is that of x from `axis` on; a scalar scales all elements
// With bias_term, b is learned and has the shape of s. Blobs: [s, b], [s], [b] or none.
#include "layers/layer.h"
#include "layers/shared/axis_view.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::ScaleParameter& param = context.param().scale_param();
  const Value x = context.bottom(0);
  const bool learned = context.bottoms() == 1;
  const CoveredAxes covered = learned ? covered_axes(context, "scale_param", param.axis(), param.num_axes())
                                      : covered_by_bottom(context, "scale_param", param.axis());
  const Value scale =
      learned ? context.parameter(covered.shape, param.has_filler() ? &param.filler() : nullptr, 1) : context.bottom(1);
  Value y = x * broadcast_view(scale, covered, x.shape().rank());
  if (param.bias_term()) {
    const Value bias = context.parameter(covered.shape, &param.bias_filler());
    y = y + broadcast_view(bias, covered, x.shape().rank());
  }
  context.set_top(0, y);
}

REGISTER_LAYER(scale, .type = "Scale", .summary = "multiplies by a learned or given blob along some axes",
               .min_bottoms = 1, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "scale" type: "Scale" bottom: "x" top: "y"
  scale_param { filler { type: "uniform" min: 0.5 max: 2 } bias_term: true } }
)");

}  // namespace
}  // namespace trainer
