// Layer types and fields of well-known forks of Caffe that are not in the schema: their origin and a replacement. Users
// often paste files written for forks.
#pragma once

#include <string>

namespace trainer {

// Returns "it comes from the SSD fork (object detection)" and a remedy if there is one, or "" for an unknown name.
// Accepts types as strings ("PriorBox") and as enum names of the V1 and V0 formats (CONVOLUTION3D).
std::string fork_type_hint(const std::string& type);

// The same for a field of a message ("TransformationParameter"), or for an enum value ("engine=INTEL"). The field
// "prior_box_param" of a layer is recognized by its type.
std::string fork_field_hint(const std::string& message, const std::string& field);

}  // namespace trainer
