// Writes JSON.
#include "report/json_document.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "report/json_line.h"

namespace trainer {

void JsonDocument::begin_value(std::string_view key) {
  if (!first_) text_ += ',';
  first_ = false;
  const bool in_object = ends_.empty() || ends_.back() == '}';
  TRAINER_ASSERT(in_object == !key.empty());
  if (in_object) text_ += json_string(key) + ':';
}

JsonDocument& JsonDocument::open(char begin, char end, std::string_view key) {
  begin_value(key);
  text_ += begin;
  ends_ += end;
  first_ = true;
  return *this;
}

JsonDocument& JsonDocument::close() {
  TRAINER_ASSERT(!ends_.empty());
  text_ += ends_.back();
  ends_.pop_back();
  first_ = false;
  return *this;
}

JsonDocument& JsonDocument::add(std::string_view key, std::string_view text) {
  begin_value(key);
  text_ += json_string(text);
  return *this;
}

JsonDocument& JsonDocument::add(std::string_view key, int64_t value) {
  begin_value(key);
  text_ += fmt::format("{}", value);
  return *this;
}

JsonDocument& JsonDocument::add(std::string_view key, double value) {
  begin_value(key);
  text_ += std::isfinite(value) ? fmt::format("{:.9g}", value) : "null";
  return *this;
}

JsonDocument& JsonDocument::add_bool(std::string_view key, bool value) {
  begin_value(key);
  text_ += value ? "true" : "false";
  return *this;
}

JsonDocument& JsonDocument::add(std::string_view key, const std::vector<std::string>& texts) {
  open_array(key);
  for (const std::string& text : texts) add_text(text);
  return close();
}

}  // namespace trainer
