// SigmoidCrossEntropyLoss: L = -1 / Z * sum of (t * log(p) + (1 - t) * log(1 - p)), p = sigmoid(x). Bottom 0 holds the
// scores x, bottom 1 the same number of targets t. Elements whose target, truncated to an integer, is ignore_label do
// not count.
//
// loss_param.normalization sets Z: BATCH_SIZE (default) the first extent, VALID the number of elements that count, FULL
// the number of all elements, NONE 1. The gradient is (p - t) / Z.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::LossParameter& param = context.param().loss_param();
  const Value x = context.bottom(0);
  const Shape& shape = x.shape();
  if (shape.rank() == 0 || context.shape(1).count() != shape.count())
    context.fail(
        "bottom",
        fmt::format("the inputs must have the same count: \"{}\" is {}, \"{}\" is {}", context.param().bottom(0),
                    shape.text(), context.param().bottom(1), context.shape(1).text()),
        "give one target for each score");
  const Value targets = reshape(context.bottom(1), shape);
  LabelledScores elements;
  elements.outer = shape[0];
  elements.inner = shape.count(1);
  if (param.has_ignore_label())
    elements.counted = 1.0f - equal(sign(targets) * floor(abs(targets)), static_cast<float>(param.ignore_label()));
  const Value divisor = loss_divisor(context, elements, normalization_mode(param, caffe::LossParameter::BATCH_SIZE));

  Value surprise = softplus(-abs(x)) - x * (targets - greater_equal(x, 0.0f));
  if (elements.counted) surprise = surprise * elements.counted;
  context.set_top(0, with_gradient(total(surprise) / divisor, {x}, [=](Value g) -> std::vector<Value> {
                    const Value difference = (sigmoid(x) - targets) * (g / divisor);
                    return {elements.counted ? difference * elements.counted : difference};
                  }));
}

REGISTER_LAYER(sigmoid_cross_entropy_loss, .type = "SigmoidCrossEntropyLoss",
               .summary = "elementwise cross entropy of scores and targets in [0, 1]", .min_bottoms = 2,
               .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" top: "loss" }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
