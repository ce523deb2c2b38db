// The folder TARGET.part, in which a conversion makes its files, and its state, from which an interrupted conversion
// continues.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/pictures/pixel_view.h"

namespace trainer {

// The part of a conversion that is in its files. What they have beyond it is written again.
struct ConversionState {
  uint64_t done = 0;     // images, in their order
  uint64_t skipped = 0;  // of these
  uint64_t shard = 0;    // the current one
  uint64_t rows = 0;     // in it
  ItemShape shape;       // of the first image
  bool complete = false;
};

// A file or folder of the conversion.
struct MadeFile {
  std::string name;  // in the folder
  std::string path;  // at the end
};

class UnfinishedTarget {
 public:
  struct Options {
    bool resume = false;
    bool overwrite = false;
    uint64_t total = 0;  // images
    // A resumed conversion must have the same.
    std::string digest;
    // Files of earlier conversions that these files replace.
    std::vector<std::string> outdated;
  };

  // Makes the folder, or opens that of an interrupted conversion. Throws data_error: a file of `files` or `outdated`
  // exists and may not be replaced, another process has the folder, it has files of others or another conversion, or it
  // has images and neither `resume` nor `overwrite` is set.
  UnfinishedTarget(const std::string& target, std::vector<MadeFile> files, Options options);
  // Keeps the folder if the saved state has images.
  ~UnfinishedTarget();
  UnfinishedTarget(const UnfinishedTarget&) = delete;
  UnfinishedTarget& operator=(const UnfinishedTarget&) = delete;

  std::string path(size_t file) const { return folder_ + "/" + files_[file].name; }
  const ConversionState& state() const { return state_; }
  void save(const ConversionState& state);
  // `TARGET.part has 12,000 of 60,000 images`; "" if it has none.
  std::string content() const;
  // After a complete state: moves the files to their paths, and those that they replace into the folder. Throws
  // data_error if one exists and may not be replaced.
  void publish();
  // Removes the folder.
  void remove();

 private:
  void check_targets() const;
  void lock_folder();
  void check_foreign() const;
  void load();

  std::string folder_;
  std::vector<MadeFile> files_;
  Options options_;
  ConversionState state_;
  uint64_t saved_total_ = 0;
  int lock_ = -1;
};

}  // namespace trainer
