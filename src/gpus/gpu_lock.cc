// A lock for each GPU, shared by all users of a machine.
//
// All users can write to the folder and its files. Links in it are not followed, a file is locked before it is written,
// and its content is escaped before it is shown.
#include "gpus/gpu_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

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

// Gives folder and files their full mode, whatever the user's umask.
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

// Opens the folder if this user may write to it and it is not a link.
Descriptor open_folder(const char* path) {
  Descriptor folder(open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.open() && faccessat(folder.number(), ".", W_OK | X_OK, AT_EACCESS) != 0) return Descriptor();
  return folder;
}

// Prefers a folder that exists to one that could be made, so that users with different rights use the same one.
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

// Tries without O_CREAT first: Linux refuses O_CREAT for other users' files in a folder of this mode
// (fs.protected_regular).
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

// Opens the file of the lock and sets the path in `lock`. On failure returns a closed descriptor and sets the reason.
Descriptor find_file(const std::string& uuid, bool make, GpuLock* lock) {
  const Descriptor folder = find_folder(make, lock);
  if (!folder.open()) return Descriptor();
  lock->path += "/" + uuid;
  Descriptor file = open_file(folder.number(), uuid.c_str(), make);
  struct stat status {};
  if (file.open()) {
    // A second hard link can be another user's file.
    if (fstat(file.number(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1) return file;
    lock->problem = lock->path + " is not a regular file with one link";
  } else {
    if (errno == ENOENT) return file;
    lock->problem = fmt::format("{}: {}", lock->path, error_text());
  }
  lock->state = GpuLock::State::kUnusable;
  return Descriptor();
}

std::string holder_text(int file) {
  const std::vector<std::string> lines = split(read_holder(file), '\n');
  if (lines.size() < 3) return "a process that has not written its name";
  return fmt::format("pid {} ({}): {}", printable(lines[0]), printable(lines[1]), printable(lines[2]));
}

// Tries several times: look_at_gpu_lock holds the lock for a moment, too.
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

GpuLease::~GpuLease() { close(file_); }

GpuLock take_gpu_lock(const std::string& uuid) {
  // An flock belongs to an open file: a second one of this process would be refused like one of another process.
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const GpuLease>> leases;
  const std::lock_guard<std::mutex> guard(mutex);
  GpuLock lock;
  lock.lease = leases[uuid].lock();
  if (lock.lease != nullptr) {
    lock.state = GpuLock::State::kShared;
    return lock;
  }
  Descriptor file = find_file(uuid, true, &lock);
  if (!file.open()) return lock;
  if (!try_lock(file.number())) {
    set_refused(file.number(), &lock);
    return lock;
  }
  write_holder(file.number(),
               fmt::format("{}\n{}\n{}\n", getpid(), user_name(geteuid()), printable(own_command(kMostCommand))));
  lock.lease = std::make_shared<const GpuLease>(file.release());
  leases[uuid] = lock.lease;
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
