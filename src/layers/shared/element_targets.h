// Shared by the losses that compare each element of a blob with a target.
#pragma once

#include "layers/layer.h"

namespace trainer {

// Bottom 0 holds the predictions, bottom 1 the targets.
struct ElementTargets {
  Value x, targets;  // of the shape of bottom 0
  Value counted;  // of the same shape: 0 where the target, truncated to an integer, is ignore_label, else 1; or empty
  Value divisor;  // by loss_param.normalization: BATCH_SIZE (default) the first extent, VALID the number of elements
                  // that count, FULL the number of all elements, NONE 1

  // The sum of the losses that count over the divisor.
  Value mean(Value losses) const;
};

// Bottom 1 in the shape of bottom 0. Checks that it has a target for each element of bottom 0; with `shared`, it may
// also have one for all channels (axis 1) of an item.
Value joined_targets(LayerContext& context, bool shared = false);
// The same for a loss, by loss_param.
ElementTargets element_targets(LayerContext& context, bool shared = false);

// -(t * log(p) + (1 - t) * log(1 - p)) with p = sigmoid(x). The gradient is p - t; the targets take none.
Value sigmoid_cross_entropy(Value x, Value targets);

}  // namespace trainer
