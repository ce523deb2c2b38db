// A text split into lines, and the places in it that diagnostics name.
#pragma once

#include <string>
#include <vector>

#include "config/diagnostics.h"

namespace trainer {

class SourceText {
 public:
  SourceText(std::string file, const std::string& text);

  // The place of a token of protobuf's tokenizer: line and column count from 0, columns in bytes with a tab
  // going to the next multiple of eight. Quick where asked from left to right. `length` in characters.
  SourcePosition place(int line, int column, int length);

  SourcePosition nowhere() const { return {file_, 0, 0, "", 1}; }

 private:
  struct Cursor {
    int line = -1;
    size_t byte = 0;
    int column = 0;      // as the tokenizer counts
    int characters = 0;  // before `byte`
  };

  std::string file_;
  std::vector<std::string> lines_;
  Cursor cursor_;
};

}  // namespace trainer
