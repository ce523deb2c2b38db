// Writes one JSON document: nested objects and arrays, in the order of the calls.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

// A key is given within an object and left out within an array. Close what is opened, the outermost object excepted.
class JsonDocument {
 public:
  JsonDocument& open_object(std::string_view key = {}) { return open('{', '}', key); }
  JsonDocument& open_array(std::string_view key = {}) { return open('[', ']', key); }
  JsonDocument& close();

  JsonDocument& add(std::string_view key, std::string_view text);
  JsonDocument& add(std::string_view key, const char* text) { return add(key, std::string_view(text)); }
  JsonDocument& add(std::string_view key, int64_t value);
  JsonDocument& add(std::string_view key, uint64_t value) { return add(key, static_cast<int64_t>(value)); }
  JsonDocument& add(std::string_view key, int value) { return add(key, int64_t{value}); }
  JsonDocument& add_bool(std::string_view key, bool value);
  // A value that is not finite becomes null.
  JsonDocument& add(std::string_view key, double value);
  JsonDocument& add(std::string_view key, const std::vector<std::string>& texts);
  // Elements of an array.
  JsonDocument& add_text(std::string_view text) { return add({}, text); }
  JsonDocument& add_number(int64_t value) { return add(std::string_view(), value); }
  JsonDocument& add_number(double value) { return add(std::string_view(), value); }

  // The document, with its closing brace and a line end.
  std::string text() const { return text_ + "}\n"; }

 private:
  JsonDocument& open(char begin, char end, std::string_view key);
  void begin_value(std::string_view key);

  std::string text_ = "{";
  std::string ends_;   // closing characters of what is open
  bool first_ = true;  // of the innermost object or array
};

}  // namespace trainer
