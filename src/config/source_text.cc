// Converts the tokenizer's columns to columns in characters.
#include "config/source_text.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace trainer {
namespace {

constexpr int kTabWidth = 8;  // as in protobuf's tokenizer
// A position keeps at most this many bytes of its line on either side, because a text in one line has a position for
// every field.
constexpr size_t kReach = 150;

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

}  // namespace

SourceText::SourceText(std::string file, const std::string& text) : file_(std::move(file)), lines_(split(text, '\n')) {
  for (std::string& line : lines_) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
  }
}

SourcePosition SourceText::place(int line, int column, int length) {
  SourcePosition position{file_, line + 1, 1, "", length};
  if (line < 0 || line >= static_cast<int>(lines_.size())) return position;
  const std::string& text = lines_[static_cast<size_t>(line)];
  if (cursor_.line != line || cursor_.column > column) cursor_ = {line, 0, 0, 0};
  for (; cursor_.byte < text.size() && cursor_.column < column; ++cursor_.byte) {
    const char c = text[cursor_.byte];
    cursor_.column += c == '\t' ? kTabWidth - cursor_.column % kTabWidth : 1;
    if (begins_character(c)) ++cursor_.characters;
  }
  position.column = cursor_.characters + 1;

  size_t begin = cursor_.byte > kReach ? cursor_.byte - kReach : 0;
  size_t end = std::min(text.size(), cursor_.byte + kReach);
  while (begin > 0 && !begins_character(text[begin])) --begin;
  while (end < text.size() && !begins_character(text[end])) ++end;
  position.source_line = text.substr(begin, end - begin);
  const auto in_front = static_cast<std::ptrdiff_t>(begin), at = static_cast<std::ptrdiff_t>(cursor_.byte);
  position.cut_before = cursor_.characters -
                        static_cast<int>(std::count_if(text.begin() + in_front, text.begin() + at, begins_character));
  position.cut_after = end < text.size();
  return position;
}

}  // namespace trainer
