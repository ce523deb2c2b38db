// The comments of proto/trainer.proto at run time: the text of `trainer help` about messages, fields and enum values.
//
// A comment is returned as paragraphs: its lines are joined by spaces for the caller to wrap, but a line with more
// indentation than the comment stays a separate line. Thread-safe.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

namespace trainer {

// "" if the schema has no comment, or if the descriptor is not in package caffe.
std::string message_comment(const google::protobuf::Descriptor* message);
std::string field_comment(const google::protobuf::FieldDescriptor* field);
std::string enum_comment(const google::protobuf::EnumDescriptor* type);
std::string enum_value_comment(const google::protobuf::EnumValueDescriptor* value);

}  // namespace trainer
