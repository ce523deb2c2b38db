// Fillers as part of a net, for DummyData: each pass draws the values.
#pragma once

#include <string>

#include "layers/layer.h"

namespace trainer {

// A value of this shape, filled by `filler`, which must have passed check_filler. `purpose` identifies the draw among
// those of the layer.
Value random_fill(LayerContext& context, const caffe::FillerParameter& filler, const Shape& shape,
                  const std::string& purpose);

}  // namespace trainer
