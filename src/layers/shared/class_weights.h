// The weights of classes that loss_param gives: class_weight, the text file class_weight_file, or with balance_classes
// weights computed from the labels of the training data, in phase TRAIN only.
#pragma once

#include "layers/layer.h"

namespace trainer {

// The weights as a view that broadcasts along `axis`, the classes of scores of this shape; empty if none are given.
// Reports mistakes.
Value class_weights(LayerContext& context, const Shape& scores, int axis);

}  // namespace trainer
