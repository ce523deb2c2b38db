// The mean file of a layer's transform_param.
#include "data/pictures/mean_field.h"

namespace trainer {

MeanImage read_mean_field(const caffe::TransformationParameter& transform) {
  if (transform.mean_file().empty())
    throw FieldError(config_error("mean_file is empty: remove the field, or name a file"), "transform_param.mean_file");
  try {
    return read_mean_file(transform.mean_file());
  } catch (const Error& error) {
    throw FieldError(error, "transform_param.mean_file");
  }
}

}  // namespace trainer
