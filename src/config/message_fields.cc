// Fields of messages by name.
#include "config/message_fields.h"

namespace trainer {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const FieldDescriptor* field_of(const Message& message, const std::string& name) {
  return message.GetDescriptor()->FindFieldByName(name);
}

bool is_set(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  return field->is_repeated() ? reflection->FieldSize(message, field) > 0 : reflection->HasField(message, field);
}

}  // namespace trainer
