// Text in JSON.
#include "base/json_text.h"

#include <fmt/format.h>

#include <algorithm>

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

}  // namespace trainer
