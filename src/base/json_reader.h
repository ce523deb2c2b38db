// A strict reader of JSON text (RFC 8259) that reads one value after the other, without a tree.
//
// The caller says which value it expects; any other text is a JsonError with its byte offset. Nesting is bounded.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace trainer {

class JsonError : public std::runtime_error {
 public:
  JsonError(size_t offset, const std::string& reason) : std::runtime_error(reason), offset_(offset) {}
  size_t offset() const { return offset_; }

 private:
  size_t offset_;
};

class JsonReader {
 public:
  // `text` must outlive the reader.
  explicit JsonReader(std::string_view text) : text_(text) {}

  // `member` reads the value of each key, `element` each value.
  void object(const std::function<void(const std::string& key)>& member);
  void array(const std::function<void()>& element);
  std::string string();
  // A number without fraction and exponent.
  int64_t integer();
  // A string without quotes and escapes, or a number, "true", "false" or "null" as written.
  std::string scalar();
  // Any value.
  void skip();
  // Throws unless only white space is left.
  void end();

 private:
  bool take(char c);
  void expect(char c, const char* what);
  char next_character();
  std::string_view word();
  void append_escape(std::string& out);
  unsigned code_unit();
  void append_code_point(std::string& out);
  void enter();
  [[noreturn]] void fail(const std::string& reason) const { throw JsonError(at_, reason); }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace trainer
