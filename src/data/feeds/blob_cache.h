// Byte strings by number, kept for later epochs: in memory, or in a temporary file.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

// Threads may share it. What it keeps stays at its place until the cache is destroyed.
class BlobCache {
 public:
  // In memory; it keeps at most `limit` bytes.
  BlobCache(uint64_t blobs, int64_t limit);
  // In a file of `folder` that has no name and ends with the process. `larger_than_memory`: it is read from the disk
  // again and again, blob by blob. Throws data_error if the folder is not writable.
  BlobCache(uint64_t blobs, const std::string& folder, bool larger_than_memory);
  BlobCache(const BlobCache&) = delete;
  BlobCache& operator=(const BlobCache&) = delete;
  ~BlobCache();

  // Has no data if the blob is not kept.
  std::string_view find(uint64_t blob) const;
  // Keeps the bytes of `head` and `tail`, unless no space is left. The first call for a blob counts.
  void keep(uint64_t blob, std::string_view head, std::string_view tail);

 private:
  // Consecutive bytes of memory, or of the file.
  struct Segment {
    char* data = nullptr;
    int64_t size = 0;
    int64_t file_offset = 0;
  };

  char* reserve(int64_t bytes, int64_t& file_offset);
  bool write(char* to, int64_t file_offset, std::string_view bytes);

  std::vector<std::atomic<const char*>> blobs_;  // the size of the blob, then its bytes
  const int64_t limit_;
  const int file_ = -1;  // a descriptor; -1: in memory
  const bool larger_than_memory_ = false;
  std::mutex mutex_;  // of the following
  std::vector<Segment> segments_;
  int64_t used_ = 0;  // of the last segment
  int64_t total_ = 0;
  bool full_ = false;
};

}  // namespace trainer
