// Creates and holds the lock file of a prefix.
#include "formats/prefix_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "base/host_name.h"
#include "base/lock_holder.h"

namespace trainer {
namespace {

constexpr std::string_view kSignature = "trainer: ";

std::string own_name() { return fmt::format("{}pid {} on {}", kSignature, getpid(), host_name()); }

// First without O_CREAT: Linux refuses that flag for other users' files in a folder like /tmp (fs.protected_regular).
int open_lock(const std::string& path) {
  constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  while (true) {
    const int existing = open(path.c_str(), kFlags);
    if (existing >= 0 || errno != ENOENT) return existing;
    const int made = open(path.c_str(), kFlags | O_CREAT | O_EXCL, 0666);
    if (made >= 0 || errno != EEXIST) return made;
  }
}

// An empty file counts as ours: its process has not written the signature yet.
bool is_ours(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink > 1) return false;
  return status.st_size == 0 || read_holder(descriptor).starts_with(kSignature);
}

std::string holder_in(int descriptor) {
  const std::string content = read_holder(descriptor);
  return content.empty() ? "another run" : printable(std::string_view(content).substr(kSignature.size()));
}

bool is_at_path(int descriptor, const std::string& path) {
  struct stat held {
  }, current{};
  return fstat(descriptor, &held) == 0 && lstat(path.c_str(), &current) == 0 && held.st_ino == current.st_ino &&
         held.st_dev == current.st_dev;
}

}  // namespace

std::string PrefixLock::path_of(const std::string& prefix) {
  const std::filesystem::path path(prefix);
  return (path.parent_path() / ("." + path.filename().string() + ".trainer-lock")).string();
}

PrefixLock::PrefixLock(const std::string& prefix) : path_(path_of(prefix)) {
  while (true) {
    const int descriptor = open_lock(path_);
    if (descriptor < 0) return;
    const bool taken = flock(descriptor, LOCK_EX | LOCK_NB) == 0;
    const bool held = !taken && errno == EWOULDBLOCK;
    // The previous holder may have removed the file.
    if (taken && !is_at_path(descriptor, path_)) {
      close(descriptor);
      continue;
    }
    const bool ours = is_ours(descriptor);
    if (taken && ours) {
      descriptor_ = descriptor;
      write_holder(descriptor, own_name());
      return;
    }
    const std::string holder = held && ours ? holder_in(descriptor) : "";
    close(descriptor);
    if (!ours)
      throw data_error(
          "{} has the name of the lock file for prefix {}, but trainer did not write it: move it away, or use another "
          "prefix",
          path_, prefix);
    if (!held) return;
    throw config_error(
        "{} is writing files that begin with {}: this run would replace them. Use another prefix, or wait until the "
        "other run ends",
        holder, prefix);
  }
}

PrefixLock::~PrefixLock() {
  if (descriptor_ < 0) return;
  if (is_at_path(descriptor_, path_)) unlink(path_.c_str());
  close(descriptor_);
}

}  // namespace trainer
