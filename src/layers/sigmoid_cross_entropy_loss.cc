// SigmoidCrossEntropyLoss: L = -1 / Z * sum of (t * log(p) + (1 - t) * log(1 - p)), p = sigmoid(x). Bottom 0 holds the
// scores x, bottom 1 the same number of targets t. Elements whose target, truncated to an integer, is ignore_label do
// not count.
//
// loss_param.normalization sets Z: BATCH_SIZE (default) the first extent, VALID the number of elements that count, FULL
// the number of all elements, NONE 1. The gradient is (p - t) / Z.
#include "layers/layer.h"
#include "layers/shared/element_targets.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const ElementTargets elements = element_targets(context);
  context.set_top(0, elements.mean(sigmoid_cross_entropy(elements.x, elements.targets)));
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
