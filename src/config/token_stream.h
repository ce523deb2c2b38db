// The tokens of a prototxt text, with their positions: protobuf's tokenizer with error messages for users.
#pragma once

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <functional>
#include <string>

#include "config/source_text.h"

namespace trainer {

class TokenStream : private google::protobuf::io::ErrorCollector {
 public:
  using Tokenizer = google::protobuf::io::Tokenizer;
  using ErrorHandler =
      std::function<void(const SourcePosition& position, const std::string& message, const std::string& hint)>;

  // `text` must outlive the stream. `file` names it in positions. next() reads the first token, and calls `on_error`
  // for each malformed token.
  TokenStream(const std::string& text, const std::string& file, ErrorHandler on_error);

  void next() { tokenizer_.Next(); }
  const Tokenizer::Token& current() const { return tokenizer_.current(); }
  const Tokenizer::Token& previous() const { return tokenizer_.previous(); }
  bool at_end() const { return current().type == Tokenizer::TYPE_END; }

  // True if the current token is `text`, outside of a quoted string.
  bool at(const char* text) const { return current().type != Tokenizer::TYPE_STRING && current().text == text; }
  // Skips the current token if it is `text`; returns false otherwise.
  bool take(const char* text);
  // True at a non-ASCII character outside of a quoted string; it is already reported.
  bool at_non_ascii() const;

  // The current token for messages: quoted, and shortened to 40 bytes.
  std::string current_text() const;
  static std::string shortened(const std::string& text);

  // The position of the current token.
  SourcePosition here();
  // The position of a token by its line and column in the tokenizer's count, see SourceText.
  SourcePosition place(int line, int column, int length) { return source_.place(line, column, length); }
  // The position of the text as a whole.
  SourcePosition nowhere() const { return source_.nowhere(); }

 private:
  void AddError(int line, int column, const std::string& message) override;

  SourceText source_;
  ErrorHandler on_error_;
  google::protobuf::io::ArrayInputStream input_;
  mutable Tokenizer tokenizer_;  // its accessors are not const
  int non_ascii_line_ = -1;      // the last line with a non-ASCII character
};

}  // namespace trainer
