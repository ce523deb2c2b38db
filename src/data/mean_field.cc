// The mean file of a layer's transform_param.
#include "data/mean_field.h"

namespace trainer {

MeanImage read_mean_field(const caffe::TransformationParameter& transform) {
  try {
    return read_mean_file(transform.mean_file());
  } catch (const Error& error) {
    throw FieldError(error, "transform_param.mean_file");
  }
}

}  // namespace trainer
