// Writes and parses one flat JSON object per line.
#include "report/json_line.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "base/json_reader.h"

namespace trainer {

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
