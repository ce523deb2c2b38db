// L1Loss: L = 1 / Z * sum of |x - t|. Bottom 0 holds predictions x, bottom 1 as many targets t. Elements whose target,
// truncated to an integer, is ignore_label do not count. Both bottoms take gradients.
//
// loss_param.normalization sets Z: BATCH_SIZE (default, as in NVIDIA's fork) the first extent, FULL the number of all
// elements (PyTorch's mean), VALID the number of elements that count, NONE 1.
#include "layers/shared/element_targets.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const ElementTargets elements = element_targets(context);
  context.set_top(0, elements.mean(abs(elements.x - elements.targets)));
}

REGISTER_LAYER(l1_loss, .type = "L1Loss", .summary = "the sum of absolute differences, for each item", .min_bottoms = 2,
               .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "loss" type: "L1Loss" bottom: "x" bottom: "t" top: "loss" }
)",
               .loss = true);

}  // namespace
}  // namespace trainer
