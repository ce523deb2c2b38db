// Writes the file of a download.
#include "hub/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "formats/temporaries.h"

namespace trainer {

PartFile::PartFile(const std::string& target, const std::function<void(int64_t)>& wait)
    : target_(target), path_(target + ".part") {
  while (true) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (descriptor_ < 0) fail("make");
    if (try_lock()) return;
    struct stat status {};
    const int64_t size = ::fstat(descriptor_, &status) == 0 ? status.st_size : 0;
    ::close(descriptor_);
    wait(size);
  }
}

PartFile::~PartFile() { ::close(descriptor_); }

bool PartFile::try_lock() {
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
  struct stat opened {
  }, named{};
  if (::fstat(descriptor_, &opened) != 0 || ::lstat(path_.c_str(), &named) != 0 || opened.st_ino != named.st_ino ||
      opened.st_dev != named.st_dev)
    return false;
  size_ = opened.st_size;
  return true;
}

void PartFile::append(const void* bytes, size_t count) {
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::pwrite(descriptor_, from, count, size_);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    from += written;
    size_ += written;
    count -= static_cast<size_t>(written);
  }
}

void PartFile::clear() {
  if (::ftruncate(descriptor_, 0) != 0) fail("write");
  size_ = 0;
}

void PartFile::discard() { ::unlink(path_.c_str()); }

void PartFile::commit() {
  if (::fsync(descriptor_) != 0) fail("write");
  if (std::rename(path_.c_str(), target_.c_str()) != 0) fail("rename");
  flush_folder(std::filesystem::path(target_).parent_path().string());
}

void PartFile::fail(const char* action) const {
  throw data_error("cannot {} {}: {}; TRAINER_CACHE can name another folder", action, path_, std::strerror(errno));
}

}  // namespace trainer
