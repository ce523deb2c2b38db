// One lock a GPU for all users of a machine. Folder and files are everybody's: nothing of what others may
// have put there is followed, written before it is locked, or shown as it is.
#include "gpus/gpu_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/lock_holder.h"
#include "base/text.h"
#include "gpus/processes.h"

namespace trainer {
namespace {

constexpr std::array<const char*, 2> kFolders = {"/run/lock/trainer", "/tmp/trainer-gpu-locks"};
constexpr mode_t kFolderMode = 01777, kFileMode = 0666;
constexpr size_t kMostCommand = 200;

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int number() const { return number_; }
  bool open() const { return number_ >= 0; }
  int release() {
    const int number = number_;
    number_ = -1;
    return number;
  }

 private:
  int number_;
};

// Folder and files get their whole mode, whatever the user's mask.
class NoMask {
 public:
  NoMask() : before_(umask(0)) {}
  ~NoMask() { umask(before_); }
  NoMask(const NoMask&) = delete;
  NoMask& operator=(const NoMask&) = delete;

 private:
  mode_t before_;
};

std::string error_text() { return std::strerror(errno); }

bool make_folder(const char* path) {
  const NoMask no_mask;
  return mkdir(path, kFolderMode) == 0 || errno == EEXIST;
}

// A folder of this name that this user may write to, not a link to one.
Descriptor open_folder(const char* path) {
  Descriptor folder(open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.open() && faccessat(folder.number(), ".", W_OK | X_OK, AT_EACCESS) != 0) return Descriptor();
  return folder;
}

// One that is there comes before one that could be made: users with different rights meet in it.
Descriptor find_folder(bool make, GpuLock* lock) {
  std::string problem;
  for (const bool making : {false, true}) {
    if (making && !make) break;
    for (const char* path : kFolders) {
      Descriptor folder = !making || make_folder(path) ? open_folder(path) : Descriptor();
      if (folder.open()) {
        lock->path = path;
        return folder;
      }
      if (making) problem += fmt::format("{}{}: {}", problem.empty() ? "" : "; ", path, error_text());
    }
  }
  if (make) {
    lock->state = GpuLock::State::kUnusable;
    lock->problem = "there is no folder for locks (" + problem + ")";
  }
  return Descriptor();
}

// Without O_CREAT first: Linux refuses it for others' files in a folder of this mode (fs.protected_regular).
Descriptor open_file(int folder, const char* name, bool make) {
  constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const NoMask no_mask;
  while (true) {
    const int existing = openat(folder, name, kFlags);
    if (existing >= 0 || errno != ENOENT || !make) return Descriptor(existing);
    const int made = openat(folder, name, kFlags | O_CREAT | O_EXCL, kFileMode);
    if (made >= 0 || errno != EEXIST) return Descriptor(made);
  }
}

// The lock's file with its path in `lock`; closed where there is none, and `lock` says why.
Descriptor find_file(const std::string& uuid, bool make, GpuLock* lock) {
  const Descriptor folder = find_folder(make, lock);
  if (!folder.open()) return Descriptor();
  lock->path += "/" + uuid;
  Descriptor file = open_file(folder.number(), uuid.c_str(), make);
  struct stat status {};
  if (file.open()) {
    // A second name would make it a file of somebody's elsewhere.
    if (fstat(file.number(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1) return file;
    lock->problem = lock->path + " is no file of its own";
  } else {
    if (errno == ENOENT) return file;
    lock->problem = fmt::format("{}: {}", lock->path, error_text());
  }
  lock->state = GpuLock::State::kUnusable;
  return Descriptor();
}

std::string holder_text(int file) {
  const std::vector<std::string> lines = split(read_holder(file), '\n');
  if (lines.size() < 3) return "a process that has not told its name";
  return fmt::format("pid {} ({}): {}", printable(lines[0]), printable(lines[1]), printable(lines[2]));
}

// Several tries: a process that only looks holds the lock for a moment, too.
bool try_lock(int file) {
  constexpr int kTries = 4;
  constexpr useconds_t kPause = 5000;
  for (int i = 0; i < kTries; ++i) {
    if (flock(file, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    usleep(kPause);
  }
  errno = EWOULDBLOCK;
  return false;
}

void set_refused(int file, GpuLock* lock) {
  if (errno == EWOULDBLOCK) {
    lock->state = GpuLock::State::kHeld;
    lock->holder = holder_text(file);
  } else {
    lock->state = GpuLock::State::kUnusable;
    lock->problem = fmt::format("{}: {}", lock->path, error_text());
  }
}

}  // namespace

GpuLock take_gpu_lock(const std::string& uuid) {
  GpuLock lock;
  Descriptor file = find_file(uuid, true, &lock);
  if (!file.open()) return lock;
  if (!try_lock(file.number())) {
    set_refused(file.number(), &lock);
    return lock;
  }
  write_holder(file.number(),
               fmt::format("{}\n{}\n{}\n", getpid(), user_name(geteuid()), printable(own_command(kMostCommand))));
  file.release();  // the end of the process closes it
  lock.state = GpuLock::State::kTaken;
  return lock;
}

GpuLock look_at_gpu_lock(const std::string& uuid) {
  GpuLock lock;
  const Descriptor file = find_file(uuid, false, &lock);
  if (file.open() && flock(file.number(), LOCK_SH | LOCK_NB) != 0) set_refused(file.number(), &lock);
  return lock;
}

}  // namespace trainer
