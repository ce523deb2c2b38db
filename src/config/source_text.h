// A text split into lines, and positions in it for diagnostics.
#pragma once

#include <string>
#include <vector>

#include "config/diagnostics.h"

namespace trainer {

class SourceText {
 public:
  SourceText(std::string file, const std::string& text);

  // The position of a token of protobuf's tokenizer: line and column start at 0, columns count bytes, and a tab
  // advances to the next multiple of eight. Fast for calls from left to right. `length` is in characters.
  SourcePosition place(int line, int column, int length);

  SourcePosition nowhere() const { return {file_, 0, 0, "", 1}; }

 private:
  struct Cursor {
    int line = -1;
    size_t byte = 0;
    int column = 0;      // in the tokenizer's count
    int characters = 0;  // before `byte`
  };

  std::string file_;
  std::vector<std::string> lines_;
  Cursor cursor_;
};

}  // namespace trainer
