// A locked file beside those of a prefix.
#include "formats/prefix_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/lock_holder.h"

namespace trainer {
namespace {

std::string own_name() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return fmt::format("pid {} on {}", getpid(), host);
}

std::string holder_in(int descriptor) {
  const std::string holder = printable(read_holder(descriptor));
  return holder.empty() ? "another run" : holder;
}

bool is_still_there(int descriptor, const std::string& path) {
  struct stat held {}, there {};
  return fstat(descriptor, &held) == 0 && stat(path.c_str(), &there) == 0 && held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

}  // namespace

PrefixLock::PrefixLock(const std::string& prefix) : path_(prefix + ".lock") {
  while (true) {
    const int descriptor = open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor < 0) return;
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      const bool held = errno == EWOULDBLOCK;
      const std::string holder = held ? holder_in(descriptor) : "";
      close(descriptor);
      if (!held) return;
      throw config_error(
          "{} is writing files that begin with {}: this run would replace them. Give it another prefix, or wait for the other to end",
          holder, prefix);
    }
    // The holder before may have taken the file away.
    if (!is_still_there(descriptor, path_)) {
      close(descriptor);
      continue;
    }
    descriptor_ = descriptor;
    write_holder(descriptor, own_name());
    return;
  }
}

PrefixLock::~PrefixLock() {
  if (descriptor_ < 0) return;
  unlink(path_.c_str());
  close(descriptor_);
}

}  // namespace trainer
