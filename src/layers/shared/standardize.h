// The core of the normalization layers: (x - mean) / sqrt(variance + eps), with mean and biased variance over some
// axes.
//
// The gradient is the derivative in closed form: dx = (g - mean(g) - y * mean(g * y)) / sqrt(variance + eps).
#pragma once

#include <memory>

#include "layers/layer.h"

namespace trainer {

struct Standardized {
  Value y;
  Value mean, variance;  // extent 1 at the axes
  float count = 0;       // elements per mean, of this device
  Value joint_count;     // and of all ranks, of rank 0; none without `ranks`
};
// With `ranks`, all means are over the elements of all ranks, also in the gradient.
Standardized standardize(Value x, const std::vector<int>& axes, float eps,
                         const std::shared_ptr<RankSums>& ranks = nullptr);

// Fails if eps, a field of the message ("batch_norm_param"), is negative or NaN.
void check_eps(LayerContext& context, const std::string& message, float eps);

}  // namespace trainer
