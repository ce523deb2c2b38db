// The images of an ImageData layer and of convert_imageset: paths with labels, from a list file or from a folder.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "data/records/key_index.h"
#include "trainer.pb.h"

namespace trainer {

using LabelKind = caffe::ImageDataParameter::LabelKind;

class ImageList {
 public:
  // `source` is the list or folder, for messages. `root` is put before each path unchanged.
  ImageList(std::string source, std::string root) : source_(std::move(source)), root_(std::move(root)) {}

  // All images have the same number of `values`. `line` is that of a list file, from 1.
  void add(std::string_view path, std::span<const double> values, int64_t line = 0);
  void add_with_mask(std::string_view path, std::string_view mask, int64_t line);
  void set_class_names(std::vector<std::string> names) { class_names_ = std::move(names); }

  const std::string& source() const { return source_; }
  const std::string& root() const { return root_; }
  uint64_t size() const { return paths_.size(); }
  std::string_view path(uint64_t index) const { return paths_.key(index); }
  std::string file(uint64_t index) const { return root_ + std::string(path(index)); }
  std::string mask_file(uint64_t index) const { return root_ + std::string(masks_.key(index)); }
  // The values of each label; 0 if the labels are masks.
  size_t label_values() const { return label_values_; }
  std::span<const double> label(uint64_t index) const {
    return {values_.data() + static_cast<size_t>(index) * label_values_, label_values_};
  }
  int64_t line(uint64_t index) const { return lines_[static_cast<size_t>(index)]; }  // of a list file, from 1
  // By label; empty if they are unknown.
  const std::vector<std::string>& class_names() const { return class_names_; }
  // `list.txt:7 (cats/1.jpg)`, or the path of an image of a folder.
  std::string describe(uint64_t index) const;
  // Of the paths and labels, not of the root.
  TextDigest digest() const;
  int64_t memory_bytes() const;

 private:
  std::string source_, root_;
  KeyIndex paths_, masks_;
  size_t label_values_ = 0;
  std::vector<double> values_;  // exact for any class number
  std::vector<int64_t> lines_;  // empty for a folder
  std::vector<std::string> class_names_;
};

// Reads a list file. It skips blank lines. Throws data_error with file and line: no such file, no lines, a wrong line.
//
// CLASS: a line is a path, a blank and a whole number. The last blank separates, so that paths may contain blanks.
// VALUES: the numbers at the end of the first line determine the number of values.
// MASK: a line is a path, a tab and the path of the mask; without a tab the last blank separates.
ImageList read_image_list(const std::string& file, const std::string& root = "",
                          LabelKind kind = caffe::ImageDataParameter::CLASS);

// Throws data_error if a label has no name. `file` has the names.
void check_class_names(const ImageList& list, const std::vector<std::string>& names, const std::string& file);

// Throws data_error if the first image is found only with a "/" between root and path.
void check_root(const ImageList& list);

}  // namespace trainer
