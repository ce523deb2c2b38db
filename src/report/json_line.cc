// Writes and parses one flat JSON object per line.
#include "report/json_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

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

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code >= 0x10000) {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class LineReader {
 public:
  explicit LineReader(std::string_view text) : text_(text) {}

  bool object(JsonFields* fields) {
    if (!take('{')) return false;
    if (take('}')) return at_end();
    do {
      std::string key, value;
      if (!string(&key) || !take(':') || !scalar(&value)) return false;
      (*fields)[key] = value;
    } while (take(','));
    return take('}') && at_end();
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) != nullptr && text_[at_] != '\0') ++at_;
  }
  bool take(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool at_end() {
    skip_blanks();
    return at_ == text_.size();
  }
  bool string(std::string* out) {
    if (!take('"')) return false;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (c != '\\') {
        *out += c;
      } else if (!escape(out)) {
        return false;
      }
    }
    return false;
  }
  bool escape(std::string* out) {
    if (at_ >= text_.size()) return false;
    const char c = text_[at_++];
    const char* plain = std::strchr("\"\"\\\\//b\bf\fn\nr\rt\t", c);
    if (c == 'u') return code_point(out);
    if (plain == nullptr || c == '\0') return false;
    *out += plain[1];
    return true;
  }
  bool code_unit(unsigned* code) {
    *code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      if (at_ >= text_.size() || std::isxdigit(static_cast<unsigned char>(text_[at_])) == 0) return false;
      const char digit = text_[at_];
      *code = *code * 16 + static_cast<unsigned>(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    return true;
  }
  // Characters beyond U+FFFF are written as two surrogates; a single surrogate is an error.
  bool code_point(std::string* out) {
    unsigned code = 0, low = 0;
    if (!code_unit(&code)) return false;
    if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
      const size_t before = at_;
      at_ += 2;
      if (!code_unit(&low)) return false;
      if (low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      } else {
        at_ = before;
      }
    }
    append_utf8(*out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    return true;
  }
  bool scalar(std::string* out) {
    skip_blanks();
    if (at_ < text_.size() && text_[at_] == '"') return string(out);
    const size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '+' ||
                                  text_[at_] == '-' || text_[at_] == '.'))
      ++at_;
    *out = std::string(text_.substr(begin, at_ - begin));
    return !out->empty();
  }

  std::string_view text_;
  size_t at_ = 0;
};

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
  if (!LineReader(line).object(&fields)) return std::nullopt;
  return fields;
}

std::string field(const JsonFields& fields, const char* key) {
  const auto found = fields.find(key);
  return found == fields.end() ? "" : found->second;
}

double number(const JsonFields& fields, const char* key) { return std::atof(field(fields, key).c_str()); }

}  // namespace trainer
