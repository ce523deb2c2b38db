// The comments of proto/trainer.proto at run time: what `trainer help` prints about messages, fields and enum
// values.
//
// A comment comes back as paragraphs: its lines are joined by spaces, for the caller to wrap, except that a
// line indented further than the comment itself stays a line of its own. Safe to call from any thread.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

namespace trainer {

// "" where the schema has no comment on it, or where the descriptor does not belong to package caffe.
std::string message_comment(const google::protobuf::Descriptor* message);
std::string field_comment(const google::protobuf::FieldDescriptor* field);
std::string enum_comment(const google::protobuf::EnumDescriptor* type);
std::string enum_value_comment(const google::protobuf::EnumValueDescriptor* value);

}  // namespace trainer
