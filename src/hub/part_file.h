// The file of a download that is not complete: NAME.part beside the file NAME to come. It stays after a broken
// transfer, so that the next one continues it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace trainer {

class PartFile {
 public:
  // Opens or makes the file and locks it against other processes (flock); on a file system without locks there is no
  // lock. While another process has the lock, calls `wait` with the size of the file, again and again. Errors are a
  // data_error.
  PartFile(const std::string& target, const std::function<void(int64_t size)>& wait);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  void append(const void* bytes, size_t count);
  void clear();
  // Removes the file.
  void discard();
  // Flushes the file to the disk and gives it its final name.
  void commit();

 private:
  // False if another process has the lock, or has removed or renamed the file meanwhile.
  bool try_lock();
  [[noreturn]] void fail(const char* action) const;

  const std::string target_, path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

}  // namespace trainer
