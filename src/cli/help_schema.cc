// Help on what prototxt files may say.
#include "cli/help_schema.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cli/markdown.h"
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

std::string field_item(const FieldDescriptor* field) {
  std::string out =
      fmt::format("- `{}` ({}{}", field->name(), field->is_repeated() ? "repeated " : "", type_text(field));
  const std::string value = default_text(field);
  if (!value.empty()) out += ", default " + value;
  if (field->options().deprecated()) out += ", deprecated";
  out += ")";
  const std::string comment = field_comment(field);
  if (!comment.empty()) out += "\\\n  " + markdown_paragraphs(comment, 2);
  out += "\n";
  if (field->type() != FieldDescriptor::TYPE_ENUM) return out;
  const EnumDescriptor* values = field->enum_type();
  for (int i = 0; i < values->value_count(); ++i) {
    const std::string meaning = enum_value_comment(values->value(i));
    if (!meaning.empty()) out += fmt::format("  - `{}`: {}\n", values->value(i)->name(), escape_markdown(meaning));
  }
  return out;
}

std::string field_list(const Descriptor* message) {
  std::string out;
  for (int i = 0; i < message->field_count(); ++i) out += field_item(message->field(i));
  return out;
}

// Of metric_param, only those that the layer reads.
std::string field_list(const LayerType& layer, const FieldDescriptor* field) {
  if (field->name() != "metric_param") return field_list(field->message_type());
  std::string out;
  for (const std::string& name : layer.metric_fields) out += field_item(field->message_type()->FindFieldByName(name));
  return out;
}

std::string range_text(int least, int most) {
  if (most == kAnyNumber) return fmt::format("{} or more", least);
  return least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
}

// Fields of LayerParameter that the type reads: named after it, common to losses or to metrics, or set by a layer of
// the type in its example.
std::vector<const FieldDescriptor*> message_fields(const LayerType& layer) {
  caffe::NetParameter example;
  if (layer.example != nullptr) TRAINER_ASSERT(google::protobuf::TextFormat::ParseFromString(layer.example, &example));
  std::vector<const FieldDescriptor*> fields;
  const Descriptor* message = caffe::LayerParameter::descriptor();
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    const std::string& name = field->name();
    if (field->type() != FieldDescriptor::TYPE_MESSAGE || field->is_repeated() ||
        name.find("_param") == std::string::npos)
      continue;
    bool read = plain(name) == plain(layer.type) || (layer.loss && name == "loss_param") ||
                (!layer.metric_fields.empty() && name == "metric_param");
    for (const caffe::LayerParameter& shown : example.layer())
      read = read || (shown.type() == layer.type && shown.GetReflection()->HasField(shown, field));
    if (read) fields.push_back(field);
  }
  return fields;
}

}  // namespace

std::string layer_table() {
  std::string out = markdown_row({"layer", "what it does"}) + markdown_row({"---", "---"});
  for (const LayerType* layer : layer_types())
    out += markdown_row({fmt::format("[{0}](layers/{0}.md)", layer->type), escape_markdown(layer->summary)});
  return out;
}

std::string layer_page(const std::string& type) {
  const LayerType* layer = nullptr;
  std::vector<std::string> names;
  for (const LayerType* known : layer_types()) {
    names.push_back(known->type);
    if (plain(known->type) == plain(type)) layer = known;
  }
  if (layer == nullptr) {
    throw config_error("no layer of type \"{}\"{}; `trainer help layer` lists them", type,
                       suggest(type, names, ", did you mean {}?"));
  }
  std::string out =
      fmt::format("# {}: {}\n\nBottoms: {}. Tops: {}.\n", layer->type, escape_markdown(layer->summary),
                  range_text(layer->min_bottoms, layer->max_bottoms), range_text(layer->min_tops, layer->max_tops));
  for (const FieldDescriptor* field : message_fields(*layer))
    out += fmt::format("\n## {}\n\n", field->name()) + field_list(*layer, field);
  if (layer->example != nullptr && *layer->example != '\0')
    out += "\n## Example\n\n```prototxt\n" + trim(layer->example) + "\n```\n";
  return out;
}

std::string message_page(const std::string& name) {
  const google::protobuf::FileDescriptor* file = caffe::LayerParameter::descriptor()->file();
  for (int i = 0; i < file->message_type_count(); ++i) {
    const Descriptor* message = file->message_type(i);
    if (plain(message->name()) == plain(name))
      return fmt::format("# {}\n\n{}\n\n", message->name(), markdown_paragraphs(message_comment(message))) +
             field_list(message);
  }
  return "";
}

std::vector<std::string> message_names() {
  const google::protobuf::FileDescriptor* file = caffe::LayerParameter::descriptor()->file();
  std::vector<std::string> names;
  for (int i = 0; i < file->message_type_count(); ++i) {
    names.push_back(file->message_type(i)->name());
    names.push_back(plain(names.back()));
  }
  return names;
}

std::string field_page(const std::string& name) {
  std::string wanted = lower(name), out;
  std::replace(wanted.begin(), wanted.end(), '-', '_');
  std::vector<const Descriptor*> types;
  const google::protobuf::FileDescriptor* file = caffe::LayerParameter::descriptor()->file();
  for (int i = 0; i < file->message_type_count(); ++i) {
    const Descriptor* message = file->message_type(i);
    const FieldDescriptor* field = message->FindFieldByName(wanted);
    if (field == nullptr) continue;
    out += fmt::format("\n## {}\n\n", message->name()) + field_item(field);
    const Descriptor* type = field->message_type();
    if (type != nullptr && std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
  }
  if (out.empty()) return "";
  for (const Descriptor* type : types) out += "\n" + message_page(type->name());
  return fmt::format("# The field {}\n", wanted) + out;
}

std::vector<std::string> field_names() {
  const google::protobuf::FileDescriptor* file = caffe::LayerParameter::descriptor()->file();
  std::vector<std::string> names;
  for (int i = 0; i < file->message_type_count(); ++i)
    for (int f = 0; f < file->message_type(i)->field_count(); ++f)
      names.push_back(file->message_type(i)->field(f)->name());
  return names;
}

}  // namespace trainer
