// Prints messages as prototxt.
#include "config/prototxt_text.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <cmath>
#include <vector>

#include "base/text.h"

namespace trainer {
namespace {

using google::protobuf::TextFormat;

class ShortestNumbers : public TextFormat::FastFieldValuePrinter {
 public:
  void PrintFloat(float value, TextFormat::BaseTextGenerator* generator) const override {
    generator->PrintString(text(value));
  }
  void PrintDouble(double value, TextFormat::BaseTextGenerator* generator) const override {
    generator->PrintString(text(value));
  }

 private:
  template <typename Number>
  static std::string text(Number value) {
    return std::isnan(value) ? "nan" : fmt::format("{}", value);
  }
};

constexpr size_t kColumns = 120;

struct Field {
  std::string text;           // `name: value`, or `name {` of a message
  std::vector<Field> fields;  // of a message
  bool message = false;
};

// The fields up to the end of their message.
std::vector<Field> parse_fields(const std::vector<std::string>& lines, size_t* next) {
  std::vector<Field> fields;
  while (*next < lines.size()) {
    const std::string line = trim(lines[(*next)++]);
    if (line == "}") break;
    if (line.empty()) continue;
    Field field{line, {}, line.ends_with(" {")};
    if (field.message) field.fields = parse_fields(lines, next);
    fields.push_back(std::move(field));
  }
  return fields;
}

std::string flat(const Field& field) {
  if (!field.message) return field.text;
  std::string text = field.text;
  for (const Field& inner : field.fields) text += ' ' + flat(inner);
  return text + " }";
}

void lay_out(const std::vector<Field>& fields, size_t indent, std::string* text) {
  const std::string margin(indent, ' ');
  std::string scalars;
  const auto end_line = [&] {
    if (!scalars.empty()) *text += margin + scalars + '\n';
    scalars.clear();
  };
  for (const Field& field : fields) {
    const std::string whole = flat(field);
    if (!field.message) {
      if (indent + scalars.size() + 1 + whole.size() > kColumns) end_line();
      scalars += (scalars.empty() ? "" : " ") + whole;
      continue;
    }
    end_line();
    if (indent + whole.size() <= kColumns) {
      *text += margin + whole + '\n';
    } else {
      *text += margin + field.text + '\n';
      lay_out(field.fields, indent + 2, text);
      *text += margin + "}\n";
    }
  }
  end_line();
}

}  // namespace

std::string prototxt_text(const google::protobuf::Message& message) {
  TextFormat::Printer printer;
  printer.SetDefaultFieldValuePrinter(new ShortestNumbers);
  printer.SetHideUnknownFields(true);
  std::string text;
  printer.PrintToString(message, &text);
  return text;
}

std::string compact_prototxt(const google::protobuf::Message& message) {
  size_t next = 0;
  std::string text;
  lay_out(parse_fields(split(prototxt_text(message), '\n'), &next), 0, &text);
  return text;
}

}  // namespace trainer
