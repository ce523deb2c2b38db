// BCELoss: L = -1 / Z * sum of (w * t * log(p) + (1 - t) * log(1 - p)), with w = pos_weight. Bottom 0 holds
// probabilities p in [0, 1], bottom 1 as many targets t in [0, 1]. Elements whose target, truncated to an integer, is
// ignore_label do not count. SigmoidCrossEntropyLoss takes scores, and is more exact where p is near 0 or 1.
//
// As in PyTorch, logarithms are at least -100, and the gradient of an element,
// ((1 - t) * p - w * t * (1 - p)) / (p * (1 - p)), has a divisor of at least 1e-12.
//
// loss_param.normalization sets Z: BATCH_SIZE (default) the first extent, FULL the number of all elements (PyTorch's
// mean), VALID the number of elements that count, NONE 1.
#include "layers/shared/element_targets.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const float weight = context.param().bce_loss_param().pos_weight();
  if (!(weight > 0))
    context.fail("bce_loss_param.pos_weight", fmt::format("pos_weight is {}", weight), "it must be positive");
  const ElementTargets elements = element_targets(context);
  const Value p = elements.x, positive = elements.targets * weight, negative = 1.0f - elements.targets;
  const Value loss = -(positive * maximum(log(p), -100.0f) + negative * maximum(log(1.0f - p), -100.0f));
  context.set_top(0, elements.mean(with_gradient(loss, {p}, [=](Value g) -> std::vector<Value> {
    return {(negative * p - positive * (1.0f - p)) / maximum(p * (1.0f - p), 1e-12f) * g};
  })));
}

REGISTER_LAYER(bce_loss, .type = "BCELoss",
               .summary = "elementwise cross entropy of probabilities and targets in [0, 1]", .min_bottoms = 2,
               .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "p" type: "Sigmoid" bottom: "x" top: "p" }
layer { name: "loss" type: "BCELoss" bottom: "p" bottom: "t" top: "loss" bce_loss_param { pos_weight: 2 } }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
