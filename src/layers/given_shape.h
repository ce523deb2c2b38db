// Shapes that a net gives itself.
#pragma once

#include <string>

#include "layers/layer.h"

namespace trainer {

constexpr int64_t kMostElements = 2147483647;

// What is wrong with a shape given in a net, or "": extents below 1, more than 32 axes, more than
// kMostElements elements.
std::string check_shape(const Shape& shape);

// The shape of `shape { dim ... }` at `field`; fails where it cannot be a blob's.
Shape given_shape(LayerContext& context, const caffe::BlobShape& shape, const std::string& field);

}  // namespace trainer
