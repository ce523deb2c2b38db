// Lists of pictures, one `path label` per line, which ImageData and convert_imageset read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/records/key_index.h"

namespace trainer {

class ImageList {
 public:
  // Splits a line at its last blank, so that paths may contain blanks. Skips blank lines. The label is the whole number
  // at the start of the last word. Throws data_error with file and line: no such file, no lines, a line without a
  // label.
  explicit ImageList(const std::string& file);

  const std::string& file() const { return file_; }
  uint64_t size() const { return paths_.size(); }
  std::string_view path(uint64_t index) const { return paths_.key(index); }
  int32_t label(uint64_t index) const { return labels_[static_cast<size_t>(index)]; }
  int64_t line(uint64_t index) const { return lines_[static_cast<size_t>(index)]; }  // from 1
  int64_t memory_bytes() const;

 private:
  std::string file_;
  KeyIndex paths_;
  std::vector<int32_t> labels_;
  std::vector<int64_t> lines_;
};

// `root` is put before each path unchanged. Throws data_error if the first picture is found only with a "/" between
// them.
void check_root(const ImageList& list, const std::string& root);

}  // namespace trainer
