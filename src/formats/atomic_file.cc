// Atomic file replacement: temporary file, fsync, rename.
#include "formats/atomic_file.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/shell_text.h"
#include "base/text.h"
#include "formats/temporaries.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPendingBytes = 256 * 1024;
constexpr const char* kTemporaryEnding = ".tmp";

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

int64_t free_bytes(const std::string& folder) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) return -1;
  return static_cast<int64_t>(status.f_bavail) * static_cast<int64_t>(status.f_frsize);
}

std::string owner_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "someone else";
  char buffer[4096];
  struct passwd entry {};
  struct passwd* found = nullptr;
  ::getpwuid_r(status.st_uid, &entry, buffer, sizeof buffer, &found);
  return found != nullptr ? found->pw_name : fmt::format("user {}", status.st_uid);
}

// The reason why no file can be created in `folder`, from the system's error number.
std::string folder_problem(const std::string& folder, int error) {
  std::error_code ignored;
  if (error == ENOENT && !fs::exists(folder, ignored)) {
    fs::path existing = fs::path(folder).parent_path();
    while (!existing.empty() && !fs::exists(existing, ignored)) {
      const fs::path parent = existing.parent_path();
      if (parent == existing) break;
      existing = parent;
    }
    return fmt::format("the folder {} does not exist ({} does). Make it with: mkdir -p {}", folder,
                       existing.empty() ? "the current folder" : existing.string(), shell_quoted(folder));
  }
  if (error == ENOTDIR) return fmt::format("{} is not a folder", folder);
  if (error == EACCES || error == EPERM) {
    return fmt::format("no permission to write in {}, which belongs to {}", folder, owner_of(folder));
  }
  if (error == EROFS) return fmt::format("{} is on a read-only file system", folder);
  return std::strerror(error);
}

std::string temporary_begin(const std::string& folder, const std::string& base) {
  constexpr size_t kLongestBase = 180;  // the whole name stays below the limit of 255 bytes
  return folder + "/." + base.substr(0, kLongestBase);
}

// Creates and locks a file with a unique name in `folder`. Returns -1 and sets errno on failure.
int make_temporary(const std::string& folder, const std::string& base, std::string& name) {
  while (true) {
    name = temporary_begin(folder, base) + "." + temporary_tag() + kTemporaryEnding;
    const int descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0 && errno == EEXIST) continue;
    if (descriptor < 0 || lock_temporary(descriptor)) return descriptor;
    ::close(descriptor);
  }
}

bool is_no_file(const std::string& path, const struct stat& status) {
  return !S_ISDIR(status.st_mode) &&
         (!S_ISREG(status.st_mode) || path.starts_with("/dev/") || path.starts_with("/proc/"));
}

// Fails with EEXIST if `to` exists.
int rename_to_free_name(const char* from, const char* to) {
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  // Some file systems do not support RENAME_NOREPLACE.
  if (errno != EINVAL && errno != ENOSYS) return -1;
  if (::link(from, to) != 0) return -1;
  ::unlink(from);
  return 0;
}

// Keeps the files that will be replaced open, so that a rename does not have to free their blocks, which is slow.
class OpenFiles {
 public:
  OpenFiles() = default;
  ~OpenFiles() {
    for (int descriptor : descriptors_) ::close(descriptor);
  }
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

  void add(const std::string& path) { descriptors_.push_back(::open(path.c_str(), O_PATH | O_CLOEXEC)); }

 private:
  std::vector<int> descriptors_;
};

}  // namespace

void write_file(const std::string& path, std::string_view content, Existing existing) {
  AtomicFile file(path, static_cast<int64_t>(content.size()), existing);
  file.write(content.data(), content.size());
  file.commit();
}

void refuse_existing(const std::string& path, const std::string& remedy) {
  struct stat link {
  }, target{};
  if (::lstat(path.c_str(), &link) != 0 || (::stat(path.c_str(), &target) == 0 && is_no_file(path, target))) return;
  throw data_error("{} exists already: {}", path, remedy);
}

void remove_abandoned_temporaries(const std::string& prefix) {
  remove_abandoned(temporary_begin(folder_of(prefix), fs::path(prefix).filename().string()), kTemporaryEnding);
}

void check_replaceable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return;
  if (S_ISDIR(status.st_mode)) throw data_error("cannot write {}: it is a folder", path);
  if (!S_ISREG(status.st_mode)) throw data_error("cannot write {}: it is not a regular file", path);
  if ((status.st_mode & 0222) == 0)
    throw data_error("cannot write {}: it is write-protected. `chmod u+w {}` allows it", path, shell_quoted(path));
}

AtomicFile::AtomicFile(const std::string& path, int64_t expected_bytes, Existing existing)
    : path_(path), existing_(existing) {
  if (existing_ == Existing::kKept) refuse_existing(path_);
  struct stat old {};
  const bool exists = ::stat(path_.c_str(), &old) == 0;
  if (exists && is_no_file(path_, old)) {
    open_directly();
    return;
  }
  check_replaceable(path_);
  std::error_code ignored;
  if (exists && fs::is_symlink(path_, ignored)) path_ = fs::canonical(path_, ignored).string();
  const std::string folder = folder_of(path_);
  if (existing_ == Existing::kKept) remove_abandoned_temporaries(path_);
  descriptor_ = make_temporary(folder, fs::path(path_).filename().string(), temporary_);
  if (descriptor_ < 0) throw data_error("cannot write {}: {}", path_, folder_problem(folder, errno));
  if (exists) ::fchmod(descriptor_, old.st_mode & 07777);
  expect(expected_bytes);
}

void AtomicFile::expect(int64_t bytes) {
  expected_bytes_ = bytes;
  const int64_t free = temporary_.empty() ? -1 : free_bytes(folder_of(path_));
  if (free >= 0 && bytes > free) fail("write", ENOSPC);
}

// Appends: the standard output may be a file that already has lines.
void AtomicFile::open_directly() {
  // O_NONBLOCK only during open(): opening a pipe would otherwise wait for a reader.
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0)
    throw data_error("cannot write {}: {}", path_,
                     errno == ENXIO ? "it is a pipe without a reader. Start the reader first" : std::strerror(errno));
  ::fcntl(descriptor_, F_SETFL, ::fcntl(descriptor_, F_GETFL) & ~O_NONBLOCK);
}

const std::string& AtomicFile::temporary_path() const {
  if (temporary_.empty()) throw data_error("cannot write {}: it is not a file on a disk", path_);
  return temporary_;
}

AtomicFile::~AtomicFile() { remove_temporary(); }

void AtomicFile::remove_temporary() noexcept {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  descriptor_ = -1;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* action, int error) {
  const std::string folder = folder_of(path_);
  const int64_t free = free_bytes(folder);
  struct stat status {};
  const int64_t so_far = ::fstat(descriptor_, &status) == 0 ? std::max<int64_t>(status.st_size, written_) : written_;
  remove_temporary();
  if (error == ENOSPC || error == EDQUOT) {
    const std::string needed = expected_bytes_ > 0 ? format_bytes(expected_bytes_) + " needed"
                                                   : fmt::format("more than {} needed", format_bytes(so_far));
    throw data_error("cannot {} {}: {} ({}, {} free in {}). Existing files are unchanged", action, path_,
                     error == EDQUOT ? "your disk quota is used up" : "the disk is full", needed,
                     free < 0 ? "unknown" : format_bytes(free), folder);
  }
  throw data_error("cannot {} {}: {}. Existing files are unchanged", action, path_, folder_problem(folder, error));
}

void AtomicFile::write(const void* bytes, size_t count) {
  TRAINER_ASSERT(descriptor_ >= 0);
  if (pending_.size() + count <= kPendingBytes) {
    pending_.append(static_cast<const char*>(bytes), count);
    return;
  }
  flush();
  if (count <= kPendingBytes) {
    pending_.assign(static_cast<const char*>(bytes), count);
    return;
  }
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t put = ::write(descriptor_, from, std::min<size_t>(count, size_t{1} << 30));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("write", errno);
    if (put == 0) fail("write", ENOSPC);
    from += put;
    count -= static_cast<size_t>(put);
    written_ += put;
  }
}

void AtomicFile::replace_begin(const void* bytes, size_t count) {
  temporary_path();
  flush();
  TRAINER_ASSERT(static_cast<int64_t>(count) <= written_);
  const ssize_t put = ::pwrite(descriptor_, bytes, count, 0);
  if (put != static_cast<ssize_t>(count)) fail("write", put < 0 ? errno : ENOSPC);
}

void AtomicFile::redirect(const std::string& path) {
  temporary_path();
  check_replaceable(path);
  TRAINER_ASSERT(folder_of(path) == folder_of(path_));
  path_ = path;
  existing_ = Existing::kReplaced;
}

void AtomicFile::flush() {
  size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t put = ::write(descriptor_, pending_.data() + done, pending_.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("write", errno);
    if (put == 0) fail("write", ENOSPC);
    done += static_cast<size_t>(put);
    written_ += put;
  }
  pending_.clear();
}

void AtomicFile::rename() {
  if (existing_ == Existing::kReplaced) {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("replace", errno);
  } else if (rename_to_free_name(temporary_.c_str(), path_.c_str()) != 0) {
    if (errno != EEXIST) fail("make", errno);
    remove_temporary();
    throw data_error("{} was created by another process in the meantime, and it is kept", path_);
  }
}

void AtomicFile::finish() {
  TRAINER_ASSERT(descriptor_ >= 0);
  if (finished_) return;
  flush();
  if (!temporary_.empty() && ::fsync(descriptor_) != 0) fail("write", errno);
  finished_ = true;
}

void AtomicFile::commit() { commit_together({this}); }

void AtomicFile::commit_together(const std::vector<AtomicFile*>& files) {
  OpenFiles replaced;
  for (AtomicFile* file : files) {
    file->finish();
    replaced.add(file->path_);
  }
  for (AtomicFile* file : files) {
    if (!file->temporary_.empty()) file->rename();
  }
  std::set<std::string> folders;
  for (AtomicFile* file : files) {
    if (!file->temporary_.empty()) folders.insert(folder_of(file->path_));
    if (::close(std::exchange(file->descriptor_, -1)) != 0 && errno != EINTR)
      throw data_error("cannot write {}: {}", file->path_, std::strerror(errno));
  }
  for (const std::string& folder : folders) flush_folder(folder);
}

void check_writable_prefix(const std::string& prefix) {
  constexpr size_t kLongestEnding = 34;  // _iter_2147483647_ema.caffemodel.h5
  const std::string folder = folder_of(prefix);
  const long longest = ::pathconf(folder.c_str(), _PC_NAME_MAX);
  if (longest > 0 && fs::path(prefix).filename().string().size() + kLongestEnding > static_cast<size_t>(longest)) {
    throw data_error("cannot write files that begin with {}: with its ending a name would be longer than {} bytes",
                     prefix, longest);
  }
  std::string name;
  const int descriptor = make_temporary(folder, fs::path(prefix).filename().string(), name);
  if (descriptor < 0) {
    throw data_error("cannot write files that begin with {}: {}", prefix, folder_problem(folder, errno));
  }
  const char byte = 0;
  const bool wrote = ::write(descriptor, &byte, 1) == 1;
  const int error = errno;
  ::close(descriptor);
  ::unlink(name.c_str());
  if (!wrote) {
    throw data_error("cannot write files that begin with {}: {}", prefix,
                     error == ENOSPC ? fmt::format("the disk is full ({} free in {})",
                                                   format_bytes(std::max<int64_t>(0, free_bytes(folder))), folder)
                                     : folder_problem(folder, error));
  }
}

}  // namespace trainer
