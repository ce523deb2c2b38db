// A strict reader of JSON text.
#include "base/json_reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace trainer {
namespace {

constexpr int kDeepest = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether the word is a number: -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
bool is_number(std::string_view word) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t begin = at;
    while (at < word.size() && is_digit(word[at])) ++at;
    return at - begin;
  };
  const auto is = [&](char a, char b) { return at < word.size() && (word[at] == a || word[at] == b); };
  if (is('-', '-')) ++at;
  const bool zero = is('0', '0');
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (is('.', '.')) {
    ++at;
    if (digits() == 0) return false;
  }
  if (is('e', 'E')) {
    ++at;
    if (is('+', '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == word.size();
}

void append_utf8(std::string& out, unsigned code) {
  const auto rest = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    rest(6);
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    rest(12);
    rest(6);
  }
  if (code >= 0x80) rest(0);
}

}  // namespace

char JsonReader::next_character() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
    ++at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonReader::take(char c) {
  if (next_character() != c || at_ >= text_.size()) return false;
  ++at_;
  return true;
}

void JsonReader::expect(char c, const char* what) {
  if (!take(c)) fail(what);
}

void JsonReader::enter() {
  if (++depth_ > kDeepest) fail("values are nested too deeply");
}

void JsonReader::object(const std::function<void(const std::string& key)>& member) {
  expect('{', "an object should begin here");
  enter();
  if (!take('}')) {
    do {
      const std::string key = string();
      expect(':', "a colon should follow the key");
      member(key);
    } while (take(','));
    expect('}', "a comma or the end of the object should be here");
  }
  --depth_;
}

void JsonReader::array(const std::function<void()>& element) {
  expect('[', "an array should begin here");
  enter();
  if (!take(']')) {
    do {
      element();
    } while (take(','));
    expect(']', "a comma or the end of the array should be here");
  }
  --depth_;
}

std::string JsonReader::string() {
  expect('"', "a string should begin here");
  std::string out;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
    ++at_;
    if (c == '"') return out;
    if (c != '\\') {
      out += c;
    } else {
      append_escape(out);
    }
  }
  fail("the text ends inside a string");
}

void JsonReader::append_escape(std::string& out) {
  const char c = at_ < text_.size() ? text_[at_] : '\0';
  constexpr std::string_view kEscapes = "\"\"\\\\//b\bf\fn\nr\rt\t";
  if (c == 'u') {
    ++at_;
    return append_code_point(out);
  }
  for (size_t i = 0; i < kEscapes.size(); i += 2) {
    if (kEscapes[i] != c) continue;
    ++at_;
    out += kEscapes[i + 1];
    return;
  }
  fail("an unknown escape in a string");
}

unsigned JsonReader::code_unit() {
  unsigned code = 0;
  const char* begin = text_.data() + at_;
  const auto parsed = std::from_chars(begin, begin + std::min<size_t>(4, text_.size() - at_), code, 16);
  if (parsed.ptr != begin + 4 || parsed.ec != std::errc()) fail("four hexadecimal digits should follow \\u");
  at_ += 4;
  return code;
}

// Characters beyond U+FFFF are written as two surrogates; a single surrogate becomes U+FFFD.
void JsonReader::append_code_point(std::string& out) {
  unsigned code = code_unit();
  if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
    const size_t before = at_;
    at_ += 2;
    const unsigned low = code_unit();
    if (low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else {
      at_ = before;
    }
  }
  append_utf8(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
}

std::string_view JsonReader::word() {
  next_character();
  size_t end = at_;
  const auto belongs = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || std::strchr("+-.E", c) != nullptr;
  };
  while (end < text_.size() && text_[end] != '\0' && belongs(text_[end])) ++end;
  const std::string_view word = text_.substr(at_, end - at_);
  if (!is_number(word) && word != "true" && word != "false" && word != "null") fail("a value should be here");
  at_ = end;
  return word;
}

int64_t JsonReader::integer() {
  next_character();
  const size_t begin = at_;
  const std::string_view digits = word();
  int64_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (parsed.ptr != digits.data() + digits.size() || parsed.ec != std::errc()) {
    at_ = begin;
    fail("a whole number should be here");
  }
  return value;
}

std::string JsonReader::scalar() { return next_character() == '"' ? string() : std::string(word()); }

void JsonReader::skip() {
  switch (next_character()) {
    case '{': return object([this](const std::string&) { skip(); });
    case '[': return array([this] { skip(); });
    default: scalar();
  }
}

void JsonReader::end() {
  next_character();
  if (at_ < text_.size()) fail("text follows the value");
}

}  // namespace trainer
