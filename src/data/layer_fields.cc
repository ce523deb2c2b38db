// A path has two names: a message of the layer and a field of it.
#include "data/layer_fields.h"

#include "base/error.h"
#include "config/message_fields.h"

namespace trainer {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

struct FieldPath {
  const FieldDescriptor* message;
  const FieldDescriptor* field;
};

FieldPath find(const std::string& path) {
  const size_t dot = path.find('.');
  TRAINER_ASSERT(dot != std::string::npos);
  const FieldDescriptor* message = caffe::LayerParameter::descriptor()->FindFieldByName(path.substr(0, dot));
  TRAINER_ASSERT(message != nullptr);
  const FieldDescriptor* field = message->message_type()->FindFieldByName(path.substr(dot + 1));
  TRAINER_ASSERT(field != nullptr);
  return {message, field};
}

const Message& message_at(const caffe::LayerParameter& layer, const FieldPath& path) {
  return layer.GetReflection()->GetMessage(layer, path.message);
}

}  // namespace

bool has_field(const caffe::LayerParameter& layer, const std::string& path) {
  const FieldPath found = find(path);
  const Message& message = message_at(layer, found);
  return is_set(message, found.field);
}

std::string blank_text(const caffe::LayerParameter& layer, const std::string& path) {
  const FieldPath found = find(path);
  const Message& message = message_at(layer, found);
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const bool text = found.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  const bool blank =
      text ? reflection.GetString(message, found.field).empty() : reflection.GetUInt32(message, found.field) == 0;
  if (!blank) return "";
  return !reflection.HasField(message, found.field) ? "missing" : text ? "empty" : "0";
}

std::string text_at(const caffe::LayerParameter& layer, const std::string& path) {
  const FieldPath found = find(path);
  const Message& message = message_at(layer, found);
  return message.GetReflection()->GetString(message, found.field);
}

uint32_t number_at(const caffe::LayerParameter& layer, const std::string& path) {
  const FieldPath found = find(path);
  const Message& message = message_at(layer, found);
  return message.GetReflection()->GetUInt32(message, found.field);
}

void set_number_at(caffe::LayerParameter* layer, const std::string& path, uint32_t value) {
  const FieldPath found = find(path);
  Message* message = layer->GetReflection()->MutableMessage(layer, found.message);
  message->GetReflection()->SetUInt32(message, found.field, value);
}

}  // namespace trainer
