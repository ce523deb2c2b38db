// Reads number fields by name.
#include "data/pictures/steps/fields.h"

#include <cmath>

#include "config/message_fields.h"

namespace trainer {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

double number_of(const Message& step, const std::string& name) {
  const FieldDescriptor* field = field_of(step, name);
  const auto* reflection = step.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_FLOAT: return static_cast<double>(reflection->GetFloat(step, field));
    case FieldDescriptor::CPPTYPE_UINT32: return reflection->GetUInt32(step, field);
    default: return reflection->GetInt32(step, field);
  }
}

// As in the file: 0.6, not 0.6000000238.
std::string text_of(double value) {
  const bool whole = value == std::floor(value) && std::fabs(value) < 1e10;
  return whole ? fmt::format("{:.0f}", value) : fmt::format("{}", static_cast<float>(value));
}

bool given(const Message& step, const char* name) { return is_set(step, field_of(step, name)); }

}  // namespace

std::optional<double> probability_of(const Message& step) {
  return field_of(step, "probability") == nullptr ? std::nullopt : std::optional(number_of(step, "probability"));
}

void check_between(const Message& step, const std::string& field, double low, double high, SourceContext& context) {
  const double value = number_of(step, field);
  // The fields are floats: a bound such as 0.01 is a double above its float.
  if (!(value >= static_cast<double>(static_cast<float>(low)) &&
        value <= static_cast<double>(static_cast<float>(high))))
    context.error_in(step, field, fmt::format("{} is {}", field, text_of(value)),
                     fmt::format("it must be {} to {}", low, high));
}

void check_range(const Message& step, const std::string& name, double low, double high, SourceContext& context) {
  const std::string min = name + "_min", max = name + "_max";
  check_between(step, min, low, high, context);
  check_between(step, max, low, high, context);
  if (number_of(step, min) > number_of(step, max))
    context.error_in(
        step, min,
        fmt::format("{} {} is above {} {}", min, text_of(number_of(step, min)), max, text_of(number_of(step, max))),
        "exchange them");
}

void check_size(const Message& step, SourceContext& context) {
  const bool square = given(step, "size"), height = given(step, "height"), width = given(step, "width");
  if (square ? height || width : !(height && width)) {
    const char* at = height ? "height" : width ? "width" : square ? "size" : "";
    context.error_in(step, at, square ? "both size and height or width are given" : "the size is missing",
                     "give size (for a square), or height and width");
    return;
  }
  if (square) return check_between(step, "size", 1, kLargestSide, context);
  check_between(step, "height", 1, kLargestSide, context);
  check_between(step, "width", 1, kLargestSide, context);
}

}  // namespace trainer
