// Writes and parses one flat JSON object per line.
#include "report/json_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/json_reader.h"

namespace trainer {
namespace {

// The length of the UTF-8 sequence at the start of `text`, or 0 if there is none. Overlong forms and surrogates are not
// valid.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first < 0xF0) {
    const bool allowed = (first != 0xE0 || second >= 0xA0) && (first != 0xED || second < 0xA0);
    return allowed && follows(1) && follows(2) ? 3 : 0;
  }
  const bool allowed = (first != 0xF0 || second >= 0x90) && (first < 0xF4 || (first == 0xF4 && second < 0x90));
  return first >= 0xF0 && allowed && follows(1) && follows(2) && follows(3) ? 4 : 0;
}

// Replaces each byte that is not valid UTF-8 by U+FFFD, because JSON is UTF-8.
std::string valid_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (char c : valid_utf8(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

void JsonLine::add_key(std::string_view key) {
  if (text_.size() > 1) text_ += ',';
  text_ += json_string(key) + ':';
}

JsonLine& JsonLine::add(std::string_view key, std::string_view text) {
  add_key(key);
  text_ += json_string(text);
  return *this;
}

JsonLine& JsonLine::add(std::string_view key, int64_t value) {
  add_key(key);
  text_ += fmt::format("{}", value);
  return *this;
}

JsonLine& JsonLine::add(std::string_view key, double value) {
  add_key(key);
  if (std::isfinite(value)) {
    text_ += fmt::format("{:.9g}", value);
    return *this;
  }
  text_ += "null";
  return add("not_finite", std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}

std::optional<JsonFields> parse_json_line(std::string_view line) {
  JsonFields fields;
  try {
    JsonReader reader(line);
    reader.object([&](const std::string& key) { fields[key] = reader.scalar(); });
    reader.end();
  } catch (const JsonError&) {
    return std::nullopt;
  }
  return fields;
}

std::string field(const JsonFields& fields, const char* key) {
  const auto found = fields.find(key);
  return found == fields.end() ? "" : found->second;
}

double number(const JsonFields& fields, const char* key) { return std::atof(field(fields, key).c_str()); }

}  // namespace trainer
