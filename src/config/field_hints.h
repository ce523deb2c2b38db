// Hints for unknown fields: which field or message the user probably meant.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace trainer {

// True for messages that describe a layer, in any generation of the schema.
bool is_layer(const google::protobuf::Message& message);
// For example: layer "conv1" (Convolution). Returns "" if the layer has neither name nor type.
std::string layer_subject(const google::protobuf::Message& layer);

// True if `field` of a layer is the message for `type`: convolution_param for "Convolution".
bool is_message_of_type(const google::protobuf::FieldDescriptor& field, const std::string& type);

// Returns "a solver" for a solver's field at the root of a net, "a net" for the reverse, "" otherwise.
std::string other_kind_of_file(const std::string& name, const google::protobuf::Message& root);

// The remedy for an unknown field of `message`: the message that has this field, the fork that defines it, or the
// nearest name. `layer` is the layer that encloses the message, or null.
std::string unknown_field_hint(const std::string& name, const google::protobuf::Message& message,
                               const google::protobuf::Message* layer);

}  // namespace trainer
