// The mean file of a layer's transform_param.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"
#include "formats/mean_file.h"
#include "trainer.pb.h"

namespace trainer {

// Of a field that is not the layer's source, given by its path within the layer.
class FieldError : public Error {
 public:
  FieldError(const Error& error, std::string field) : Error(error), field_(std::move(field)) {}
  const std::string& field() const { return field_; }

 private:
  std::string field_;
};

// Throws a FieldError where the file cannot be read.
MeanImage read_mean_field(const caffe::TransformationParameter& transform);

}  // namespace trainer
