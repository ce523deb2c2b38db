// A binary file opened for reading. Its size is known, and every error names the file.
#pragma once

#include <cstdint>
#include <string>

namespace trainer {

class InputFile {
 public:
  // A missing file, a folder, or missing permission is a data_error that names the problem; `what` is the role of the
  // file ("weight file").
  InputFile(const std::string& path, const char* what);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  const std::string& path() const { return path_; }
  int descriptor() const { return descriptor_; }
  int64_t size() const { return size_; }

  // Reads `count` bytes at `offset`; a data_error if the file has fewer.
  void read(int64_t offset, void* out, int64_t count) const;
  // True if the first 4 KiB have no control bytes other than white space. Protobuf and HDF5 files always have some.
  bool looks_like_text() const;

 private:
  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

}  // namespace trainer
