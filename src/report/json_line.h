// One flat JSON object a line: what metrics.jsonl is made of.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace trainer {

class JsonLine {
 public:
  JsonLine& add(std::string_view key, std::string_view text);
  JsonLine& add(std::string_view key, const char* text) { return add(key, std::string_view(text)); }
  JsonLine& add(std::string_view key, int64_t value);
  // JSON has no NaN or infinity: such a value is null, and "not_finite" holds "nan", "inf" or "-inf".
  JsonLine& add(std::string_view key, double value);
  // With the closing brace and newline.
  std::string text() const { return text_ + "}\n"; }

 private:
  void add_key(std::string_view key);
  std::string text_ = "{";
};

// Values as text: strings without quotes and escapes, numbers as written, "null", "true", "false".
using JsonFields = std::map<std::string, std::string>;

// A line that JsonLine made, or another flat object of strings, numbers and the three words; nothing where it
// is anything else, a line cut off by a kill for example.
std::optional<JsonFields> parse_json_line(std::string_view line);

}  // namespace trainer
