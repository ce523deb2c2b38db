// The pooling methods of Pooling and SPP other than MAX.
#pragma once

#include "layers/layer.h"
#include "layers/shared/pooling_window.h"

namespace trainer {

// x (N, C, H, W) -> (N, C, window.output_size): the mean of each window. The divisor counts padding, but not the part
// of a window beyond the padding.
Value average_pool(Value x, const PoolingWindow& window);

// The same shapes. TRAIN: draws a value of each window with a probability proportional to the value: the first element
// at which the running sum reaches u * sum, u uniform. The drawn element takes the gradient. TEST: sum of x^2 / sum of
// x.
Value stochastic_pool(LayerContext& context, Value x, const PoolingWindow& window);

}  // namespace trainer
