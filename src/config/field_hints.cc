// Suggests remedies for unknown fields.
#include "config/field_hints.h"

#include <fmt/format.h>

#include "base/text.h"
#include "config/fork_names.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool is_layer_descriptor(const Descriptor* descriptor) {
  return descriptor->name() == "LayerParameter" || descriptor->name() == "V1LayerParameter" ||
         descriptor->name() == "V0LayerParameter";
}

bool is_message(const FieldDescriptor* field) { return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE; }

std::string string_field(const Message& message, const char* name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || !message.GetReflection()->HasField(message, field)) return "";
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM)
    return message.GetReflection()->GetEnum(message, field)->name();
  return message.GetReflection()->GetString(message, field);
}

bool is_common(const FieldDescriptor& field) {
  return field.name() == "param" || field.name() == "transform_param" || field.name() == "loss_param";
}

// The sub-message of the layer that has the field: the one of the layer's own type, otherwise one that is set or that
// many types use.
const FieldDescriptor* sub_message_with(const Message& message, const std::string& name) {
  const Descriptor* layer = message.GetDescriptor();
  const std::string type = string_field(message, "type");
  const FieldDescriptor* found = nullptr;
  for (int i = 0; i < layer->field_count(); ++i) {
    const FieldDescriptor* field = layer->field(i);
    if (!is_message(field) || is_layer_descriptor(field->message_type()) ||
        field->message_type()->FindFieldByName(name) == nullptr)
      continue;
    if (is_message_of_type(*field, type)) return field;
    const bool held = !field->is_repeated() && message.GetReflection()->HasField(message, field);
    if (found == nullptr && (held || is_common(*field))) found = field;
  }
  return found;
}

// The nearest name. The ending "_param" is ignored, because it makes all messages of layers look similar.
std::string nearest_field(const std::string& name, const std::vector<std::string>& names) {
  const std::string ending = "_param";
  if (!name.ends_with(ending)) return nearest_name(name, names);
  std::vector<std::string> stems;
  for (const std::string& known : names) {
    if (known.ends_with(ending)) stems.push_back(known.substr(0, known.size() - ending.size()));
  }
  const std::string near = nearest_name(name.substr(0, name.size() - ending.size()), stems);
  return near.empty() ? "" : near + ending;
}

}  // namespace

bool is_layer(const Message& message) { return is_layer_descriptor(message.GetDescriptor()); }

bool is_message_of_type(const FieldDescriptor& field, const std::string& type) {
  return is_message(&field) && lower(field.message_type()->name()) == lower(type) + "parameter";
}

std::string layer_subject(const Message& layer) {
  const std::string name = string_field(layer, "name"), type = string_field(layer, "type");
  if (name.empty()) return type.empty() ? "" : fmt::format("a layer of type {}", type);
  return fmt::format("layer \"{}\"", name) + (type.empty() ? "" : fmt::format(" ({})", type));
}

std::string other_kind_of_file(const std::string& name, const Message& root) {
  const Descriptor* kind = root.GetDescriptor();
  const Descriptor *net = caffe::NetParameter::descriptor(), *solver = caffe::SolverParameter::descriptor();
  if (kind->FindFieldByName(name) != nullptr) return "";
  if (kind == net && solver->FindFieldByName(name) != nullptr) return "a solver";
  if (kind == solver && net->FindFieldByName(name) != nullptr) return "a net";
  return "";
}

std::string unknown_field_hint(const std::string& name, const Message& message, const Message* layer) {
  const Descriptor* descriptor = message.GetDescriptor();
  const std::string fork = fork_field_hint(descriptor->name(), name);
  if (!fork.empty()) return fork;
  std::vector<std::string> names;
  for (int i = 0; i < descriptor->field_count(); ++i) names.push_back(descriptor->field(i)->name());
  const std::string near = nearest_field(name, names);
  if (is_layer(message)) {
    const FieldDescriptor* home = sub_message_with(message, name);
    if (home != nullptr) return fmt::format("it belongs in {} {{ {}: ... }}", home->name(), name);
  } else if (layer != nullptr && near.empty()) {
    if (layer->GetDescriptor()->FindFieldByName(name) != nullptr)
      return fmt::format("it belongs to the layer itself, outside {}", descriptor->name());
    const FieldDescriptor* home = sub_message_with(*layer, name);
    if (home != nullptr) return fmt::format("it belongs in {} {{ {}: ... }}", home->name(), name);
  }
  if (!near.empty()) return fmt::format("did you mean \"{}\"?", near);
  const std::string other = other_kind_of_file(name, message);
  if (!other.empty()) return fmt::format("it is a field of {}: is this the wrong file?", other);
  if (names.size() > 12) return "";
  std::string list;
  for (const std::string& known : names) list += (list.empty() ? "" : ", ") + known;
  return "it has " + list;
}

}  // namespace trainer
