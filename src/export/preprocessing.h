// The last steps of a data layer's transform_param, for a model that takes pixels.
#pragma once

#include "export/to_onnx.h"

namespace trainer {

// The mean and the factors that the data layer applies in phase TEST to items of this shape (N, C, H, W). Throws a
// config_error if the layer has no transform_param.
Preprocessing preprocessing_of(const caffe::LayerParameter& data, const Shape& items);

}  // namespace trainer
