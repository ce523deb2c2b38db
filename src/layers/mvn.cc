// MVN: y = (x - mean) / (deviation + eps), with mean and biased standard deviation over height and width, or with
// across_channels over the whole item. Without normalize_variance y = x - mean. The top has 4 axes, as in Caffe. The
// gradient is
//   dx = (g - mean(g) - y * mean(g * y)) / (deviation + eps),  or  g - mean(g).
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::MVNParameter& param = context.param().mvn_param();
  std::vector<int64_t> dims(context.shape(0).dims().begin(), context.shape(0).dims().end());
  if (dims.size() > 4)
    context.fail("bottom", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), context.shape(0).text()),
                 "MVN takes up to 4 axes: num, channels, height, width");
  dims.resize(4, 1);
  const Value x = reshape(context.bottom(0), Shape(dims));
  const std::vector<int> axes = param.across_channels() ? std::vector<int>{1, 2, 3} : std::vector<int>{2, 3};
  const float count = static_cast<float>(x.shape().count(axes.front()));
  const Value centered = x - sum(x, axes) / count;
  if (!param.normalize_variance()) return context.set_top(0, centered);
  const Value deviation = sqrt(sum(centered * centered, axes) / count) + param.eps();
  const Value y = centered / deviation;
  context.set_top(0, with_gradient(y, {x}, [=](Value g) -> std::vector<Value> {
                    return {(g - sum(g, axes) / count - y * (sum(g * y, axes) / count)) / deviation};
                  }));
}

REGISTER_LAYER(mvn, .type = "MVN",
               .summary = "subtracts the mean of an item or channel and divides by its standard deviation",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "mvn" type: "MVN" bottom: "x" top: "y" }
)");

}  // namespace
}  // namespace trainer
