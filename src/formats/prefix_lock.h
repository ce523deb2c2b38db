// The lock of a file prefix, so that two runs do not replace each other's files.
#pragma once

#include <string>

namespace trainer {

// It is the lock (flock) of the file .PREFIX.trainer-lock beside the prefix's files, which exists as long as it is
// held; the kernel ends it with the process, however that ends, and a file that a killed process leaves locks nothing.
// A file of this name that trainer did not write is neither changed nor removed.
class PrefixLock {
 public:
  // Throws a config_error that names the holder, a data_error where the file's name is taken by something else. Locks
  // nothing where such a file cannot be made, or the file system knows no locks, as some over a network.
  explicit PrefixLock(const std::string& prefix);
  ~PrefixLock();
  PrefixLock(const PrefixLock&) = delete;
  PrefixLock& operator=(const PrefixLock&) = delete;

  static std::string path_of(const std::string& prefix);

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace trainer
