// A binary file opened for reading, its size known and its name in every error.
#pragma once

#include <cstdint>
#include <string>

namespace trainer {

class InputFile {
 public:
  // A missing file, a folder or one without permission is a data_error that says which; `what` is its role
  // ("weight file").
  InputFile(const std::string& path, const char* what);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  const std::string& path() const { return path_; }
  int descriptor() const { return descriptor_; }
  int64_t size() const { return size_; }

  // Reads `count` bytes at `offset`; fewer than that in the file is a data_error.
  void read(int64_t offset, void* out, int64_t count) const;
  // True if the first 4 KiB hold no control bytes but white space: no protobuf or HDF5 file looks like that.
  bool looks_like_text() const;

 private:
  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

}  // namespace trainer
