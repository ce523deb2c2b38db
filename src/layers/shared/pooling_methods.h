// What Pooling and SPP take from their windows, apart from maxima.
#pragma once

#include "layers/layer.h"
#include "layers/shared/pooling_window.h"

namespace trainer {

// x (N, C, H, W) to (N, C, window.output_size). The divisor counts the padding, but not what lies beyond it.
Value average_pool(Value x, const PoolingWindow& window);

// The same shapes. TRAIN: a value of each window drawn in proportion to its size (threshold u * sum, u
// uniform, the first place at which the running sum reaches it); its place takes the gradient. TEST: sum of
// x^2 / sum of x.
Value stochastic_pool(LayerContext& context, Value x, const PoolingWindow& window);

}  // namespace trainer
