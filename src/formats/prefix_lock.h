// The lock of a file prefix. It prevents two runs from replacing each other's files.
#pragma once

#include <string>

namespace trainer {

// Locks (flock) the file .PREFIX.trainer-lock beside the prefix's files, and removes it on release. The kernel releases
// the lock when the process ends for any reason, so the file of a killed process locks nothing. A file of this name
// that trainer did not write is never changed or removed.
class PrefixLock {
 public:
  // Throws a config_error with the name of the holder if another run has the lock, and a data_error if another file has
  // the name of the lock file. Locks nothing if the lock file cannot be created, or if the file system has no locks, as
  // some network file systems.
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
