// Checks shapes of blobs before anything is computed from them.
#pragma once

#include <string>

#include "layers/layer.h"

namespace trainer {

// The shape of `shape { dim ... }` at `field`; fails if a blob cannot have it.
Shape given_shape(LayerContext& context, const caffe::BlobShape& shape, const std::string& field);

// Fails if a top cannot have this shape. lower_net checks every top after the rule; a rule calls this if it computes
// from the shape before that.
void check_top(LayerContext& context, int top, const Shape& shape);

}  // namespace trainer
