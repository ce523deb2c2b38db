// The core of the normalizing layers: (x - mean) / sqrt(variance + eps), mean and biased variance over some
// axes.
//
// The gradient is dx = (g - mean(g) - y * mean(g * y)) / sqrt(variance + eps), as the derivative comes to.
#pragma once

#include "layers/layer.h"

namespace trainer {

struct Standardized {
  Value y;
  Value mean, variance;  // extent 1 at the axes
  float count = 0;       // elements that each mean is over
};
Standardized standardize(Value x, const std::vector<int>& axes, float eps);

// Fails where eps, a field of the message ("batch_norm_param"), is negative or no number.
void check_eps(LayerContext& context, const std::string& message, float eps);

}  // namespace trainer
