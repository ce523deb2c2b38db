// One flat JSON object per line: the format of metrics.jsonl.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/json_text.h"

namespace trainer {

class JsonLine {
 public:
  JsonLine& add(std::string_view key, std::string_view text);
  JsonLine& add(std::string_view key, const char* text) { return add(key, std::string_view(text)); }
  JsonLine& add(std::string_view key, int64_t value);
  // JSON has no NaN or infinity: such a value becomes null, and "not_finite" becomes "nan", "inf" or "-inf".
  JsonLine& add(std::string_view key, double value);
  // The line, with closing brace and newline.
  std::string text() const { return text_ + "}\n"; }

 private:
  void add_key(std::string_view key);
  std::string text_ = "{";
};

// Values as text: strings without quotes and escapes, numbers as written, "null", "true", "false".
using JsonFields = std::map<std::string, std::string>;

// Parses a line of JsonLine, or another flat object of strings, numbers, true, false and null. Returns nothing for any
// other text, for example a line truncated by a kill.
std::optional<JsonFields> parse_json_line(std::string_view line);

// The value of a key as text, "" if it is absent; as a number, 0 if it is absent or no number.
std::string field(const JsonFields& fields, const char* key);
double number(const JsonFields& fields, const char* key);

}  // namespace trainer
