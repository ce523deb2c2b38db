// Prints messages as prototxt.
#include "config/prototxt_text.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <cmath>

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

}  // namespace

std::string prototxt_text(const google::protobuf::Message& message) {
  TextFormat::Printer printer;
  printer.SetDefaultFieldValuePrinter(new ShortestNumbers);
  printer.SetHideUnknownFields(true);
  std::string text;
  printer.PrintToString(message, &text);
  return text;
}

}  // namespace trainer
