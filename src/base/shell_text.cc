// Text for a shell.
#include "base/shell_text.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace trainer {

std::string shell_quoted(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("/._-+,@%", c) != nullptr;
  });
  if (plain && !text.empty() && text[0] != '-') return text;
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace trainer
