// Layer types and fields of well-known forks of Caffe that are not in the schema: where they come from and
// what to write instead. Files of forks are what people paste from.
#pragma once

#include <string>

namespace trainer {

// "it comes from the SSD fork (object detection), which is not supported", and a remedy where there is one;
// "" for a name of no known fork. Types as strings ("PriorBox") and as names of the V1 and V0 formats
// (CONVOLUTION3D).
std::string fork_type_hint(const std::string& type);

// The same for a field of a message ("TransformationParameter"), or for a value of an enum ("engine=INTEL").
// A layer's own "prior_box_param" is known by its type.
std::string fork_field_hint(const std::string& message, const std::string& field);

}  // namespace trainer
