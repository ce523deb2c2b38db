// HuberLoss: L = 1 / Z * sum of f(x - t) (Huber, "Robust Estimation of a Location Parameter", 1964), with
//   f(d) = d^2 / 2 for |d| <= delta, delta * (|d| - delta / 2) otherwise
// Bottom 0 holds predictions x, bottom 1 as many targets t. Elements whose target, truncated to an integer, is
// ignore_label do not count. Both bottoms take gradients.
//
// loss_param.normalization sets Z: BATCH_SIZE (default) the first extent, FULL the number of all elements (PyTorch's
// mean), VALID the number of elements that count, NONE 1.
#include "layers/shared/element_targets.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const float delta = context.param().huber_loss_param().delta();
  if (!(delta > 0)) context.fail("huber_loss_param.delta", fmt::format("delta is {}", delta), "it must be positive");
  const ElementTargets elements = element_targets(context);
  const Value d = elements.x - elements.targets, distance = abs(d);
  context.set_top(0,
                  elements.mean(select(greater(distance, delta), delta * (distance - 0.5f * delta), 0.5f * (d * d))));
}

REGISTER_LAYER(huber_loss, .type = "HuberLoss", .summary = "half the squared difference up to delta, linear beyond it",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "loss" type: "HuberLoss" bottom: "x" bottom: "t" top: "loss" huber_loss_param { delta: 0.3 } }
)",
               .loss = true);

}  // namespace
}  // namespace trainer
