// The last steps of a data layer's transform_param, for a model that takes pixels.
#pragma once

#include "export/to_onnx.h"

namespace trainer {

// The mean and the factors that the data layer applies in phase TEST to items of this shape (N, C, H, W). Throws a
// config_error if the layer has no transform_param.
Preprocessing preprocessing_of(const caffe::LayerParameter& data, const Shape& items);

// The preparation that remains for the user of a model with this preprocessing: resizing and cropping.
caffe::TransformationParameter without_preprocessing(caffe::TransformationParameter param);

}  // namespace trainer
