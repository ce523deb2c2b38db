// Tokenizes prototxt and translates the tokenizer's errors.
#include "config/token_stream.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace trainer {
namespace {

std::string lower_first(std::string text) {
  if (text.size() > 1 && text[1] >= 'a') text[0] = static_cast<char>(std::tolower(text[0]));
  while (!text.empty() && text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

TokenStream::TokenStream(const std::string& text, const std::string& file, ErrorHandler on_error)
    : source_(file, text),
      on_error_(std::move(on_error)),
      input_(text.data(), static_cast<int>(text.size())),
      tokenizer_(&input_, this) {
  tokenizer_.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
  tokenizer_.set_allow_f_after_float(true);
}

bool TokenStream::take(const char* text) {
  if (!at(text)) return false;
  tokenizer_.Next();
  return true;
}

bool TokenStream::at_non_ascii() const {
  return current().type == Tokenizer::TYPE_SYMBOL && static_cast<unsigned char>(current().text[0]) >= 0x80;
}

std::string TokenStream::current_text() const {
  if (at_end()) return "the end of the text";
  const std::string text = shortened(current().text);
  return current().type == Tokenizer::TYPE_STRING ? text : "\"" + text + "\"";
}

std::string TokenStream::shortened(const std::string& text) {
  return text.size() <= 40 ? text : text.substr(0, 37) + "...";
}

SourcePosition TokenStream::here() {
  const Tokenizer::Token& token = current();
  return place(token.line, token.column, std::max(1, token.end_column - token.column));
}

void TokenStream::AddError(int line, int column, const std::string& message) {
  const SourcePosition position = place(line, column, 1);
  if (message.find("non ascii") != std::string::npos) {
    if (line != non_ascii_line_)
      on_error_(position, "a character beyond ASCII outside of quotes", "use plain quotes: \" or '");
    non_ascii_line_ = line;
  } else if (message.find("cross line boundaries") != std::string::npos) {
    on_error_(position, "a quoted string must end on its line", "add the missing quote");
  } else if (message.find("end of string") != std::string::npos) {
    on_error_(position, "a quoted string is not closed", "add the missing quote");
  } else {
    on_error_(position, lower_first(message), "");
  }
}

}  // namespace trainer
