// Fillers inside a net: values drawn anew in every pass, for DummyData.
#pragma once

#include <string>

#include "layers/layer.h"

namespace trainer {

// A value of this shape as caffe::FillerParameter describes it; the filler must have passed check_filler.
// `purpose` names the draw among the layer's own.
Value random_fill(LayerContext& context, const caffe::FillerParameter& filler, const Shape& shape,
                  const std::string& purpose);

}  // namespace trainer
