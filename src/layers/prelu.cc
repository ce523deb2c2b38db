// PReLU: y = x for x > 0, a * x otherwise, with a learned slope a for each channel (axis 1), or one for all.
//   blobs  a: (C), or a scalar with channel_shared; initially 0.25 by default
#include "layers/layer.h"
#include "layers/shared/axis_view.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::PReLUParameter& param = context.param().prelu_param();
  const Value x = context.bottom(0);
  if (x.shape().rank() < 2)
    context.fail("bottom", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), x.shape().text()),
                 "PReLU needs a channel axis: at least 2 axes");
  const caffe::FillerParameter* filler = param.has_filler() ? &param.filler() : nullptr;
  const Value slope = param.channel_shared()
                          ? context.parameter(Shape{}, filler, 0.25f)
                          : along_axis(context.parameter(Shape{x.shape()[1]}, filler, 0.25f), x.shape().rank(), 1);
  context.set_top(0, select(greater(x, 0.0f), x, slope * x));
}

REGISTER_LAYER(prelu, .type = "PReLU", .summary = "x above 0, a learned slope times x below", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "prelu" type: "PReLU" bottom: "x" top: "y" }
)");

}  // namespace
}  // namespace trainer
