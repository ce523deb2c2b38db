// A read-only memory-mapped file that may be truncated, or fail on the disk, while it is mapped.
//
// The kernel sends SIGBUS to a thread that reads a page which cannot be loaded. The handler of this file maps zeros in
// place of the rest of the file and records the failure; the thread continues, and the user of the bytes checks
// failed() afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace trainer {

class MappedFile {
 public:
  // Maps the first `size` bytes (at least 1) of the open file, or returns nullptr and sets errno. The caller may close
  // the descriptor afterwards.
  static std::unique_ptr<MappedFile> map(int descriptor, uint64_t size);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* bytes() const { return bytes_; }
  uint64_t size() const { return size_; }
  // True after a page could not be loaded: bytes read since then may be zeros that are not in the file.
  bool failed() const;

  // From here on the system reads no bytes around those that are used.
  void expect_random_access();

 private:
  struct Range;
  friend struct Ranges;
  MappedFile(const char* bytes, uint64_t size, Range* range) : bytes_(bytes), size_(size), range_(range) {}

  const char* bytes_;
  uint64_t size_;
  Range* range_;
};

// Starts to read mapped bytes, so that the disk can work on several parts of a file at a time. A part
// that is smaller than a page is ignored.
void prefetch(std::string_view mapped);

}  // namespace trainer
