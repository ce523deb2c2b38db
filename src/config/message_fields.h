// Fields of messages by name.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace trainer {

// Null if the message has no field of this name.
const google::protobuf::FieldDescriptor* field_of(const google::protobuf::Message& message, const std::string& name);

// A repeated field is set if it has values.
bool is_set(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field);

}  // namespace trainer
