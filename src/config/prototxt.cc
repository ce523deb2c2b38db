// A recursive-descent parser over protobuf's tokenizer and reflection.
#include "config/prototxt.h"

#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "config/field_hints.h"
#include "config/fork_names.h"
#include "config/token_stream.h"

namespace trainer {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::io::Tokenizer;

// The parser stops after this many errors: the text is probably not a prototxt.
constexpr size_t kMostProblems = 200;
// For an enum with more values, messages show only the nearest value.
constexpr size_t kMostValuesListed = 8;

class Parser {
 public:
  Parser(const std::string& text, const std::string& file, Positions* positions, Diagnostics* diagnostics)
      : positions_(positions),
        diagnostics_(diagnostics),
        tokens_(text, file,
                [this](const SourcePosition& position, const std::string& message, const std::string& hint) {
                  error_at(position, message, hint);
                }) {
    tokens_.next();
  }

  bool parse(Message* root) {
    root_ = root;
    positions_->set_default(tokens_.nowhere());
    fields(root, "");
    return report();
  }

  // Parses one value of a field, which must be the whole text.
  bool parse_value(Message* message, const FieldDescriptor* field) {
    root_ = message;
    field_value(message, field);
    if (!tokens_.at_end() && errors_.empty())
      error_here(fmt::format("unexpected \"{}\" after the value", tokens_.current().text), "");
    return report();
  }

 private:
  struct Problem {
    SourcePosition position;
    const Message* layer;  // the enclosing layer, whose name may follow later
    std::string message, hint;
  };

  bool report() {
    for (const Problem& problem : errors_) {
      diagnostics_->error(problem.position, problem.layer ? layer_subject(*problem.layer) : "", problem.message,
                          problem.hint);
      positions_->set_faulty(problem.layer ? *problem.layer : *root_);
    }
    return errors_.empty();
  }

  void error_at(const SourcePosition& position, const std::string& message, const std::string& hint) {
    if (!gave_up()) errors_.push_back({position, enclosing_layer(), message, hint});
  }
  void error_here(const std::string& message, const std::string& hint) {
    if (!tokens_.at_non_ascii()) error_at(tokens_.here(), message, hint);
  }

  const Message* enclosing_layer() const {
    for (size_t i = stack_.size(); i-- > 0;) {
      if (is_layer(*stack_[i])) return stack_[i];
    }
    return nullptr;
  }

  bool gave_up() const { return errors_.size() >= kMostProblems; }
  bool ended() const { return tokens_.at_end() || gave_up(); }

  // Parses fields up to `closing` ("" for the end of the text).
  void fields(Message* message, const std::string& closing) {
    stack_.push_back(message);
    const SourcePosition opened = current_field_position_;
    while (true) {
      if (next_layer_) {
        if (!closing.empty()) break;
        next_layer_ = false;
      }
      if (ended()) {
        if (!closing.empty())
          error_at(opened, fmt::format("the text ends before the \"{}\" that closes this message", closing),
                   fmt::format("add the missing \"{}\"", closing));
        break;
      }
      if (!closing.empty() && tokens_.take(closing.c_str())) break;
      if (tokens_.at("}") || tokens_.at(">")) {
        error_here(closing.empty() ? fmt::format("this \"{}\" closes nothing", tokens_.current().text)
                                   : fmt::format("expected \"{}\" to close this message, found {}", closing,
                                                 tokens_.current_text()),
                   closing.empty() ? "remove it, or look for a brace closed too early above" : "");
        tokens_.next();
        if (!closing.empty()) break;
        continue;
      }
      field(message);
    }
    stack_.pop_back();
  }

  void field(Message* message) {
    const Descriptor* descriptor = message->GetDescriptor();
    if (tokens_.current().type != Tokenizer::TYPE_IDENTIFIER) {
      error_here(fmt::format("expected a field name, found {}", tokens_.current_text()), "");
      skip_item();
      return;
    }
    const std::string name = tokens_.current().text;
    SourcePosition position = tokens_.here();
    const FieldDescriptor* known = descriptor->FindFieldByName(name);
    if (known == nullptr && begins_layer(name)) {
      error_at(position, fmt::format("a new {} begins inside another message", name), "a \"}\" is missing above");
      next_layer_ = true;
      return;
    }
    tokens_.next();
    if (known == nullptr) {
      const bool other_kind = !other_kind_of_file(name, *message).empty();
      if (!other_kind || !other_kind_)
        error_at(position, fmt::format("unknown field \"{}\"{}", name, in_message(*message)),
                 unknown_field_hint(name, *message, enclosing_layer()));
      other_kind_ = other_kind_ || other_kind;
      skip_value();
      return;
    }
    const Reflection* reflection = message->GetReflection();
    if (!known->is_repeated() && reflection->HasField(*message, known)) {
      const SourcePosition first = positions_->of(*message, name);
      error_at(position, fmt::format("{} is given twice", name),
               first.line > 0 ? fmt::format("the first is in line {}: keep one of the two", first.line) : "");
      skip_value();
      return;
    }
    const auto* choice = known->containing_oneof();
    if (choice != nullptr && reflection->HasOneof(*message, choice)) {
      const std::string& chosen = reflection->GetOneofFieldDescriptor(*message, choice)->name();
      error_at(position, fmt::format("{} and {} are given", chosen, name), "keep one of the two");
      skip_value();
      return;
    }
    const bool is_message = known->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!tokens_.take(":") && !is_message) {
      error_here(fmt::format("expected \":\" after {}, found {}", name, tokens_.current_text()), "");
      if (tokens_.at("{") || tokens_.at("<")) {
        skip_value();
        return;
      }
    }
    const int before = known->is_repeated() ? reflection->FieldSize(*message, known) : -1;
    current_field_position_ = position;
    field_value(message, known);
    const Tokenizer::Token& last = tokens_.previous();
    if (!is_message && last.line + 1 == position.line)
      position.length =
          std::max(position.length, tokens_.place(last.line, last.end_column, 1).column - position.column);
    if (before < 0) {
      positions_->set(*message, known, -1, position);
    } else {
      for (int i = before; i < reflection->FieldSize(*message, known); ++i)
        positions_->set(*message, known, i, position);
    }
    if (!tokens_.take(";")) tokens_.take(",");
  }

  // True for a layer of the net itself inside another message: a closing brace is missing.
  bool begins_layer(const std::string& name) const {
    return stack_.size() > 1 && (name == "layer" || name == "layers") &&
           stack_.front()->GetDescriptor()->FindFieldByName(name) != nullptr;
  }

  static std::string in_message(const Message& message) {
    const std::string& type = message.GetDescriptor()->name();
    return type == "NetParameter" ? " of a net" : type == "SolverParameter" ? " of a solver" : " in " + type;
  }

  void field_value(Message* message, const FieldDescriptor* field) {
    if (field->is_repeated() && tokens_.take("[")) {
      if (tokens_.take("]")) return;
      while (true) {
        single_value(message, field);
        if (tokens_.take("]")) return;
        if (tokens_.take(",")) continue;
        error_here(
            fmt::format("expected \",\" or \"]\" in the list of {}, found {}", field->name(), tokens_.current_text()),
            "");
        if (tokens_.at("}") || ended() || tokens_.current().type == Tokenizer::TYPE_IDENTIFIER) return;
        tokens_.next();
      }
    }
    single_value(message, field);
  }

  void single_value(Message* message, const FieldDescriptor* field) {
    const Reflection* reflection = message->GetReflection();
    auto store = [&](auto set, auto add, auto value) {
      if (field->is_repeated()) {
        (reflection->*add)(message, field, value);
      } else {
        (reflection->*set)(message, field, value);
      }
    };
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: sub_message(message, field); return;
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string value;
        if (string_value(field, &value)) {
          if (field->is_repeated()) {
            reflection->AddString(message, field, value);
          } else {
            reflection->SetString(message, field, value);
          }
        }
        return;
      }
      case FieldDescriptor::CPPTYPE_BOOL: {
        bool value = false;
        if (bool_value(field, &value)) store(&Reflection::SetBool, &Reflection::AddBool, value);
        return;
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        const EnumValueDescriptor* value = enum_value(field);
        if (value != nullptr) store(&Reflection::SetEnum, &Reflection::AddEnum, value);
        return;
      }
      case FieldDescriptor::CPPTYPE_FLOAT:
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        double value = 0;
        if (!real_value(field, &value)) return;
        if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
          store(&Reflection::SetDouble, &Reflection::AddDouble, value);
        } else {
          store(&Reflection::SetFloat, &Reflection::AddFloat, to_float(value));
        }
        return;
      }
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64: {
        const bool wide = field->cpp_type() == FieldDescriptor::CPPTYPE_INT64;
        int64_t value = 0;
        if (!signed_value(field, wide ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int32_t>::max(),
                          &value))
          return;
        if (wide) {
          store(&Reflection::SetInt64, &Reflection::AddInt64, value);
        } else {
          store(&Reflection::SetInt32, &Reflection::AddInt32, static_cast<int32_t>(value));
        }
        return;
      }
      case FieldDescriptor::CPPTYPE_UINT32:
      case FieldDescriptor::CPPTYPE_UINT64: {
        const bool wide = field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
        uint64_t value = 0;
        if (!unsigned_value(field, wide ? std::numeric_limits<uint64_t>::max() : std::numeric_limits<uint32_t>::max(),
                            &value))
          return;
        if (wide) {
          store(&Reflection::SetUInt64, &Reflection::AddUInt64, value);
        } else {
          store(&Reflection::SetUInt32, &Reflection::AddUInt32, static_cast<uint32_t>(value));
        }
        return;
      }
    }
  }

  static float to_float(double value) {
    const double largest = std::numeric_limits<float>::max();
    if (std::fabs(value) <= largest || !std::isfinite(value)) return static_cast<float>(value);
    // Values that round to the largest float instead of infinity.
    const double halfway = largest + 10141204801825835211973625643008.0;
    if (std::fabs(value) <= halfway)
      return value > 0 ? std::numeric_limits<float>::max() : std::numeric_limits<float>::lowest();
    return value > 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
  }

  void sub_message(Message* message, const FieldDescriptor* field) {
    const Reflection* reflection = message->GetReflection();
    std::string closing;
    if (tokens_.take("{")) {
      closing = "}";
    } else if (tokens_.take("<")) {
      closing = ">";
    } else {
      error_here(fmt::format("{} is a message: expected \"{{\", found {}", field->name(), tokens_.current_text()),
                 fmt::format("write {} {{ ... }}", field->name()));
      skip_value();
      return;
    }
    Message* child =
        field->is_repeated() ? reflection->AddMessage(message, field) : reflection->MutableMessage(message, field);
    const SourcePosition position = current_field_position_;
    positions_->set(*child, nullptr, -1, position);
    const size_t problems = errors_.size();
    fields(child, closing);
    if (errors_.size() == problems) require_fields(*child, position);
  }

  void require_fields(const Message& message, const SourcePosition& position) {
    const Descriptor* descriptor = message.GetDescriptor();
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const FieldDescriptor* field = descriptor->field(i);
      if (field->is_required() && !message.GetReflection()->HasField(message, field))
        error_at(position, fmt::format("{} needs the field {}", descriptor->name(), field->name()),
                 fmt::format("add {}: ...", field->name()));
    }
  }

  void wrong_value(const FieldDescriptor* field, const std::string& expected, const std::string& hint = "") {
    SourcePosition position = tokens_.here();
    std::string found = tokens_.current_text();
    if (tokens_.at("-")) {
      tokens_.next();
      found = fmt::format("\"-{}\"", TokenStream::shortened(tokens_.current().text));
      position.length = 1 + tokens_.here().length;
    }
    if (!tokens_.at_non_ascii())
      error_at(position, fmt::format("{} expects {}, found {}", field->name(), expected, found), hint);
    skip_item();
  }

  // Names appear in the log and on the terminal, where a line feed or an escape sequence would be misread.
  static bool is_name(const std::string& field) {
    static const std::set<std::string> names = {"name", "input", "bottom", "top", "param", "stage", "not_stage"};
    return names.count(field) != 0;
  }

  bool string_value(const FieldDescriptor* field, std::string* value) {
    if (tokens_.current().type != Tokenizer::TYPE_STRING) {
      const std::string quoted = tokens_.current().type == Tokenizer::TYPE_IDENTIFIER
                                     ? fmt::format("write \"{}\" in quotes", tokens_.current().text)
                                     : "";
      wrong_value(field, "a quoted string", quoted);
      return false;
    }
    const SourcePosition position = tokens_.here();
    while (tokens_.current().type == Tokenizer::TYPE_STRING) {
      Tokenizer::ParseStringAppend(tokens_.current().text, value);
      tokens_.next();
    }
    if (!is_name(field->name()) || !has_control_characters(*value)) return true;
    error_at(position, fmt::format("{} contains a control character", field->name()),
             "use only letters, digits and punctuation");
    return false;
  }

  bool bool_value(const FieldDescriptor* field, bool* value) {
    const std::string text = tokens_.current().text;
    uint64_t number = 0;
    if (tokens_.current().type == Tokenizer::TYPE_INTEGER) {
      if (!Tokenizer::ParseInteger(text, 1, &number)) {
        wrong_value(field, "true or false");
        return false;
      }
      *value = number == 1;
    } else if (tokens_.at("true") || tokens_.at("True") || tokens_.at("t")) {
      *value = true;
    } else if (tokens_.at("false") || tokens_.at("False") || tokens_.at("f")) {
      *value = false;
    } else {
      wrong_value(field, "true or false");
      return false;
    }
    tokens_.next();
    return true;
  }

  const EnumValueDescriptor* enum_value(const FieldDescriptor* field) {
    const auto* type = field->enum_type();
    const EnumValueDescriptor* value = nullptr;
    std::vector<std::string> names;
    std::string list;
    for (int i = 0; i < type->value_count(); ++i) {
      names.push_back(type->value(i)->name());
      list += (i ? ", " : "") + names.back();
    }
    SourcePosition position = tokens_.here();
    std::string text = tokens_.current().text;
    if (tokens_.current().type == Tokenizer::TYPE_IDENTIFIER) {
      value = type->FindValueByName(text);
      tokens_.next();
    } else if (tokens_.current().type == Tokenizer::TYPE_INTEGER || tokens_.at("-")) {
      int64_t number = 0;
      if (!signed_value(field, std::numeric_limits<int32_t>::max(), &number)) return nullptr;
      value = type->FindValueByNumber(static_cast<int>(number));
      text = std::to_string(number);
      position.length = static_cast<int>(text.size());
    } else {
      const bool quoted = tokens_.current().type == Tokenizer::TYPE_STRING && text.size() >= 2;
      const std::string near = quoted ? nearest_name(text.substr(1, text.size() - 2), names) : "";
      wrong_value(field, "one of " + list,
                  !near.empty() ? fmt::format("write {} without quotes", near)
                  : quoted      ? "write it without quotes"
                                : "");
      return nullptr;
    }
    if (value == nullptr) {
      const std::string fork = field->name() == "type" ? fork_type_hint(text)
                                                       : fork_field_hint(field->containing_type()->name(),
                                                                         fmt::format("{}={}", field->name(), text));
      if (!fork.empty()) {
        error_at(position, fmt::format("\"{}\" is not a value of {}", text, field->name()), fork);
        return nullptr;
      }
      const std::string near = suggest(text, names, "did you mean {}?");
      const bool listed = near.empty() || names.size() <= kMostValuesListed;
      error_at(position,
               listed ? fmt::format("{} expects one of {}, found \"{}\"", field->name(), list, text)
                      : fmt::format("\"{}\" is not a value of {}", text, field->name()),
               near);
    }
    return value;
  }

  bool real_value(const FieldDescriptor* field, double* value) {
    const bool negative = tokens_.take("-");
    const Tokenizer::Token& token = tokens_.current();
    if (token.type == Tokenizer::TYPE_INTEGER) {
      const bool other_base = token.text.size() > 1 && token.text[0] == '0';
      if (other_base) {
        wrong_value(field, "a decimal number");
        return false;
      }
      uint64_t number = 0;
      *value = Tokenizer::ParseInteger(token.text, std::numeric_limits<uint64_t>::max(), &number)
                   ? static_cast<double>(number)
                   : Tokenizer::ParseFloat(token.text);
    } else if (token.type == Tokenizer::TYPE_FLOAT) {
      *value = Tokenizer::ParseFloat(token.text);
    } else if (token.type == Tokenizer::TYPE_IDENTIFIER) {
      const std::string text = lower(token.text);
      if (text == "inf" || text == "infinity") {
        *value = std::numeric_limits<double>::infinity();
      } else if (text == "nan") {
        *value = std::numeric_limits<double>::quiet_NaN();
      } else {
        wrong_value(field, "a number");
        return false;
      }
    } else {
      wrong_value(field, "a number", token.type == Tokenizer::TYPE_STRING ? "write it without quotes" : "");
      return false;
    }
    tokens_.next();
    if (negative) *value = -*value;
    return true;
  }

  bool unsigned_value(const FieldDescriptor* field, uint64_t most, uint64_t* value) {
    const Tokenizer::Token& token = tokens_.current();
    if (token.type != Tokenizer::TYPE_INTEGER) {
      const bool minus = tokens_.at("-");
      wrong_value(field, minus ? "a whole number that is not negative" : "a whole number",
                  token.type == Tokenizer::TYPE_STRING ? "write it without quotes" : "");
      return false;
    }
    if (!Tokenizer::ParseInteger(token.text, most, value)) {
      wrong_value(field, fmt::format("a whole number up to {}", most));
      return false;
    }
    tokens_.next();
    return true;
  }

  bool signed_value(const FieldDescriptor* field, int64_t most, int64_t* value) {
    const bool negative = tokens_.take("-");
    uint64_t magnitude = 0;
    if (!unsigned_value(field, static_cast<uint64_t>(most) + (negative ? 1 : 0), &magnitude)) return false;
    *value = negative ? static_cast<int64_t>(~magnitude + 1) : static_cast<int64_t>(magnitude);
    return true;
  }

  // Skips one scalar token, or a bracketed group, that cannot be parsed.
  void skip_item() {
    const int line = tokens_.current().line;
    if (tokens_.at_non_ascii()) {
      // Skips the rest of the line: text between curly quotes is useless too.
      while (!ended() && tokens_.current().line == line && !tokens_.at("{") && !tokens_.at("}")) tokens_.next();
    } else if (tokens_.at("{") || tokens_.at("<") || tokens_.at("[")) {
      tokens_.next();
      skip_until_closed(1);
    } else if (!tokens_.at("}") && !tokens_.at(">") && !ended()) {
      tokens_.next();
    }
  }

  void skip_value() {
    tokens_.take(":");
    const bool text = tokens_.current().type == Tokenizer::TYPE_STRING;
    skip_item();
    while (text && tokens_.current().type == Tokenizer::TYPE_STRING) tokens_.next();
    if (!tokens_.take(";")) tokens_.take(",");
  }

  void skip_until_closed(int open) {
    while (open > 0 && !ended()) {
      if (tokens_.at("{") || tokens_.at("<") || tokens_.at("[")) ++open;
      if (tokens_.at("}") || tokens_.at(">") || tokens_.at("]")) --open;
      tokens_.next();
    }
  }

  Positions* positions_;
  Diagnostics* diagnostics_;
  Message* root_ = nullptr;
  std::vector<const Message*> stack_;
  SourcePosition current_field_position_;
  bool next_layer_ = false;  // set at the next layer of the net: all enclosing messages end
  bool other_kind_ = false;  // a solver's field was found in a net, or the reverse
  std::vector<Problem> errors_;
  TokenStream tokens_;
};

}  // namespace

bool parse_prototxt(const std::string& text, const std::string& file, Message* message, Positions* positions,
                    Diagnostics* diagnostics) {
  return Parser(text, file, positions, diagnostics).parse(message);
}

bool parse_field_value(const std::string& text, const SourcePosition& where, Message* message,
                       const FieldDescriptor* field, Diagnostics* diagnostics) {
  Positions positions;
  Diagnostics local;
  const bool good = Parser(text, where.file, &positions, &local).parse_value(message, field);
  for (Diagnostic diagnostic : local.list()) {
    diagnostic.position = {where.file, where.line, where.column + diagnostic.position.column - 1, where.source_line,
                           diagnostic.position.length};
    diagnostics->add(diagnostic);
  }
  return good;
}

}  // namespace trainer
