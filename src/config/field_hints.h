// What a person may have meant by a field that its message does not have.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace trainer {

// True for the messages that describe a layer, of any generation of the schema.
bool is_layer(const google::protobuf::Message& message);
// layer "conv1" (Convolution); "" for a layer of which neither is known.
std::string layer_subject(const google::protobuf::Message& layer);

// Whether `field` of a layer holds the message named after `type`: convolution_param for "Convolution".
bool is_message_of_type(const google::protobuf::FieldDescriptor& field, const std::string& type);

// "a solver" for a solver's field at the root of a net, "a net" the other way round; "" for all others.
std::string other_kind_of_file(const std::string& name, const google::protobuf::Message& root);

// The remedy for an unknown field of `message`: the message it belongs to, the fork it comes from, or the
// nearest name. `layer` is the layer that encloses the message, or null.
std::string unknown_field_hint(const std::string& name, const google::protobuf::Message& message,
                               const google::protobuf::Message* layer);

}  // namespace trainer
