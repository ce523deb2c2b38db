// Lists of pictures, one `path label` a line: what ImageData and convert_imageset read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/records/key_index.h"

namespace trainer {

class ImageList {
 public:
  // A line is split at its last blank: paths may hold blanks. Blank lines are passed over. The label is the
  // whole number that its word begins with. Throws data_error with file and line: no such file, no lines, a
  // line without a label.
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

// Throws a data_error where the first picture is found only with a "/" between `root`, which is put before each path as
// it is, and its path.
void check_root(const ImageList& list, const std::string& root);

// The bytes of an image file, into reused memory. Throws data_error: not there, a folder, unreadable.
void read_image_file(const std::string& path, std::string& bytes);

}  // namespace trainer
