// Shapes of blobs, checked before anything is computed from them.
#pragma once

#include <string>

#include "layers/layer.h"

namespace trainer {

// The shape of `shape { dim ... }` at `field`; fails where it cannot be a blob's.
Shape given_shape(LayerContext& context, const caffe::BlobShape& shape, const std::string& field);

// Fails where a top cannot have this shape. Every top is checked after the rule; a rule calls this where it
// would compute from the shape before.
void check_top(LayerContext& context, int top, const Shape& shape);

}  // namespace trainer
