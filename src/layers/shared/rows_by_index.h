// Items of a blob chosen at run time.
#pragma once

#include "layers/layer.h"

namespace trainer {

// y[i] = x[indices[i]] along axis 0; `indices` has one axis. Where an item is taken more than once its
// gradients add up; the indices have none. An index outside [0, items of x) ends the run with a data_error
// that names the layer.
Value rows_by_index(LayerContext& context, Value x, Value indices);

}  // namespace trainer
