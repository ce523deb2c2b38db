// Formats help on layers and messages of the schema.
#include "cli/help_schema.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cli/help_text.h"
#include "config/schema_help.h"
#include "layers/layer.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

// "convolution_param" and "Convolution" compare equal to "convolution".
std::string plain(const std::string& name) {
  std::string out;
  for (char c : name) {
    if (c != '_') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  for (const char* ending : {"parameter", "param"}) {
    const std::string tail = ending;
    if (out.size() > tail.size() && out.compare(out.size() - tail.size(), tail.size(), tail) == 0)
      return out.substr(0, out.size() - tail.size());
  }
  return out;
}

constexpr int kTypeColumn = 24;

std::string type_text(const FieldDescriptor* field) {
  switch (field->type()) {
    case FieldDescriptor::TYPE_MESSAGE: return field->message_type()->name();
    case FieldDescriptor::TYPE_ENUM: {
      std::vector<std::string> values;
      for (int i = 0; i < field->enum_type()->value_count(); ++i)
        values.push_back(field->enum_type()->value(i)->name());
      return fmt::format("{}", fmt::join(values, "|"));
    }
    default: return field->type_name();
  }
}

std::string default_text(const FieldDescriptor* field) {
  if (!field->has_default_value()) return "";
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return fmt::format("{}", field->default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64: return fmt::format("{}", field->default_value_int64());
    case FieldDescriptor::CPPTYPE_UINT32: return fmt::format("{}", field->default_value_uint32());
    case FieldDescriptor::CPPTYPE_UINT64: return fmt::format("{}", field->default_value_uint64());
    case FieldDescriptor::CPPTYPE_FLOAT: return fmt::format("{:g}", field->default_value_float());
    case FieldDescriptor::CPPTYPE_DOUBLE: return fmt::format("{:g}", field->default_value_double());
    case FieldDescriptor::CPPTYPE_BOOL: return field->default_value_bool() ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM: return field->default_value_enum()->name();
    case FieldDescriptor::CPPTYPE_STRING: return fmt::format("\"{}\"", field->default_value_string());
    case FieldDescriptor::CPPTYPE_MESSAGE: break;
  }
  return "";
}

std::string field_text(const FieldDescriptor* field, int width) {
  std::string heading =
      fmt::format("  {} ({}{}", field->name(), field->is_repeated() ? "repeated " : "", type_text(field));
  const std::string value = default_text(field);
  if (!value.empty()) heading += ", default " + value;
  if (field->options().deprecated()) heading += ", deprecated";
  std::string out = heading + ")\n" + wrap(field_comment(field), width, 6);
  if (field->type() == FieldDescriptor::TYPE_ENUM) {
    const EnumDescriptor* values = field->enum_type();
    for (int i = 0; i < values->value_count(); ++i) {
      const std::string comment = enum_value_comment(values->value(i));
      if (!comment.empty()) out += wrap(values->value(i)->name() + ": " + comment, width, 8);
    }
  }
  return out;
}

std::string fields_text(const Descriptor* message, int width) {
  std::string out;
  for (int i = 0; i < message->field_count(); ++i) out += field_text(message->field(i), width);
  return out;
}

std::string range_text(int least, int most) {
  if (most == kAnyNumber) return fmt::format("{} or more", least);
  return least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
}

// Whether a field is set in prototxt text; "data_param {" is not in "hdf5_data_param {".
bool sets(const std::string& text, const std::string& field) {
  for (size_t at = text.find(field); at != std::string::npos; at = text.find(field, at + 1)) {
    if (at == 0 || text[at - 1] == ' ' || text[at - 1] == '\n') return true;
  }
  return false;
}

// Fields of LayerParameter that the type reads: named after it, common to losses, or used in its example.
std::vector<const FieldDescriptor*> message_fields(const LayerType& layer) {
  std::vector<const FieldDescriptor*> fields;
  const Descriptor* message = caffe::LayerParameter::descriptor();
  const std::string example = layer.example == nullptr ? "" : layer.example;
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    const std::string& name = field->name();
    if (field->type() != FieldDescriptor::TYPE_MESSAGE || name.find("_param") == std::string::npos) continue;
    const bool own = plain(name) == plain(layer.type);
    const bool of_losses = layer.loss && name == "loss_param";
    if (own || of_losses || sets(example, name)) fields.push_back(field);
  }
  return fields;
}

}  // namespace

std::string layer_list_text(int width) {
  std::string out;
  for (const LayerType* layer : layer_types()) out += two_columns(layer->type, layer->summary, kTypeColumn, width);
  return out + "\n`trainer help layer TYPE` describes one.\n";
}

std::string layer_text(const std::string& type, int width) {
  const LayerType* layer = nullptr;
  std::vector<std::string> names;
  for (const LayerType* known : layer_types()) {
    names.push_back(known->type);
    if (plain(known->type) == plain(type)) layer = known;
  }
  if (layer == nullptr) {
    const std::string near = nearest_name(type, names);
    throw config_error("no layer of type \"{}\"{}; `trainer help layer` lists them", type,
                       near.empty() ? "" : fmt::format(", did you mean {}?", near));
  }
  std::string out = wrap(fmt::format("{}: {}", layer->type, layer->summary), width, 0);
  out += fmt::format("\nbottoms: {}   tops: {}\n", range_text(layer->min_bottoms, layer->max_bottoms),
                     range_text(layer->min_tops, layer->max_tops));
  for (const FieldDescriptor* field : message_fields(*layer))
    out += fmt::format("\n{} {{\n", field->name()) + fields_text(field->message_type(), width) + "}\n";
  if (layer->example != nullptr && *layer->example != '\0')
    out += "\nexample:\n" + wrap(trim(layer->example), width, 2);
  return out;
}

std::string message_text(const std::string& name, int width) {
  const google::protobuf::FileDescriptor* file = caffe::LayerParameter::descriptor()->file();
  std::vector<std::string> names = {"layer", "set"};
  for (const Command* command : commands()) names.push_back(command->name);
  for (int i = 0; i < file->message_type_count(); ++i) {
    const Descriptor* message = file->message_type(i);
    names.push_back(message->name());
    names.push_back(plain(message->name()));
    if (plain(message->name()) != plain(name)) continue;
    return wrap(fmt::format("{}: {}", message->name(), message_comment(message)), width, 0) + "\n" +
           fields_text(message, width);
  }
  const std::string near = nearest_name(name, names);
  throw config_error("no command, layer, message or topic is called \"{}\"{}", name,
                     near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

}  // namespace trainer
