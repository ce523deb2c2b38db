// Selects items of a blob by indices that are known only at run time.
#pragma once

#include "layers/layer.h"

namespace trainer {

// y[i] = x[indices[i]] along axis 0; `indices` has one axis. The gradient of an item is the sum over its copies; the
// indices take no gradient. The run throws a data_error that names the layer if an index is outside [0, items of x).
Value rows_by_index(LayerContext& context, Value x, Value indices);

}  // namespace trainer
