// LRN: local response normalization of (N, C, H, W), n = local_size:
//   ACROSS_CHANNELS  y = x * (k + alpha/n * sum of x^2 over n neighbouring channels)^-beta
//   WITHIN_CHANNEL   y = x * (1 + alpha/n^2 * sum of x^2 over n x n neighbouring pixels)^-beta; ignores k
// Elements outside the blob count as 0.
#include "layers/layer.h"

namespace trainer {
namespace {

Value within_channel(Value x, int64_t size, float alpha, float beta) {
  const int64_t pad = (size - 1) / 2;
  const Value squares = sum_pool(x * x, {{size, size}, {1, 1}, {pad, pad}}, {x.shape()[2], x.shape()[3]});
  return x * power(squares * (alpha / static_cast<float>(size * size)) + 1.0f, -beta);
}

void lower(LayerContext& context) {
  const caffe::LRNParameter& param = context.param().lrn_param();
  const Value x = context.bottom(0);
  if (x.shape().rank() != 4)
    context.fail("bottom", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), x.shape().text()),
                 "LRN takes 4 axes: num, channels, height, width");
  if (param.local_size() % 2 == 0 || param.local_size() > 0xFFFF)
    context.fail("lrn_param.local_size", fmt::format("local_size is {}", param.local_size()),
                 "the window is centered: give an odd number, for example 5");
  const int64_t size = param.local_size();
  if (param.norm_region() == caffe::LRNParameter::WITHIN_CHANNEL)
    return context.set_top(0, within_channel(x, size, param.alpha(), param.beta()));
  context.set_top(0, lrn(x, {size, param.alpha(), param.beta(), param.k()}));
}

REGISTER_LAYER(lrn, .type = "LRN", .summary = "local response normalization: divides by the size of neighboring values",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 7 dim: 5 dim: 4 } } }
layer { name: "norm" type: "LRN" bottom: "x" top: "y" lrn_param { local_size: 5 alpha: 0.5 beta: 0.75 } }
)");

}  // namespace
}  // namespace trainer
