// A file mapped for reading that may be cut short, or fail on the disk, while it is mapped.
//
// The kernel sends SIGBUS to a thread that reads a page which cannot be had. The handler of this file puts
// zeros in the place of the rest of the map and notes it; the thread goes on, and whoever uses the bytes asks
// failed() afterwards.
#pragma once

#include <cstdint>
#include <memory>

namespace trainer {

class MappedFile {
 public:
  // Maps the first `size` bytes (at least 1) of the open file, or gives nullptr and sets errno. The
  // descriptor may be closed afterwards.
  static std::unique_ptr<MappedFile> map(int descriptor, uint64_t size);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* bytes() const { return bytes_; }
  uint64_t size() const { return size_; }
  // True once a page could not be had: what was read since then may be zeros that the file does not hold.
  bool failed() const;

 private:
  struct Range;
  friend struct Ranges;
  MappedFile(const char* bytes, uint64_t size, Range* range) : bytes_(bytes), size_(size), range_(range) {}

  const char* bytes_;
  uint64_t size_;
  Range* range_;
};

}  // namespace trainer
