// Dropout: y = x * m / (1 - p) in TRAIN, with a mask m drawn in every pass: 1 with probability 1 - p, else 0; y = x in
// TEST. p is dropout_ratio. Any shape.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const float ratio = context.param().dropout_param().dropout_ratio();
  if (!(ratio >= 0 && ratio < 1))
    context.fail("dropout_param.dropout_ratio", fmt::format("dropout_ratio is {}", ratio),
                 "the fraction of elements to drop must be at least 0 and less than 1");
  const Value x = context.bottom(0);
  if (context.phase() == caffe::TEST || ratio == 0) return context.set_top(0, x);
  const Value keep = greater(random_uniform(context.graph(), x.shape(), context.random_key("mask")), ratio);
  context.set_top(0, x * (keep * (1 / (1 - ratio))));
}

REGISTER_LAYER(dropout, .type = "Dropout", .summary = "zeroes a random fraction of the elements during training",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "dropout" type: "Dropout" bottom: "x" top: "y" dropout_param { dropout_ratio: 0.4 } }
)");

}  // namespace
}  // namespace trainer
