// The lock of a file prefix, so that two runs do not replace each other's files.
#pragma once

#include <string>

namespace trainer {

// It is the lock (flock) of the file PREFIX.lock, which is there as long as it is held; the kernel ends it with the process,
// whatever becomes of that, and a file that stays behind locks nothing.
class PrefixLock {
 public:
  // Throws a config_error that names the holder. Locks nothing where such a file cannot be made, or the file system knows no
  // locks, as some over a network.
  explicit PrefixLock(const std::string& prefix);
  ~PrefixLock();
  PrefixLock(const PrefixLock&) = delete;
  PrefixLock& operator=(const PrefixLock&) = delete;

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace trainer
