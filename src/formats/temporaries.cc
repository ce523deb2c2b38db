// Names, locks and removes temporary files and folders.
#include "formats/temporaries.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "base/host_name.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestHost = 32;
constexpr time_t kDay = 24 * 60 * 60;

// Without dots and slashes, which separate the parts of names and paths.
std::string short_host_name() {
  std::string name = host_name().substr(0, kLongestHost);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '.' || c == '/'; }, '_');
  return name;
}

// Removes ".DIGITS" from the end of `name`.
bool take_number(std::string_view* name) {
  const size_t dot = name->rfind('.');
  if (dot == name->npos || dot + 1 == name->size()) return false;
  if (name->find_first_not_of("0123456789", dot + 1) != name->npos) return false;
  *name = name->substr(0, dot);
  return true;
}

// The host in a temporary name, or nothing if the name has another form.
std::optional<std::string> host_in(std::string_view name, const std::string& begin, const std::string& ending) {
  if (!name.starts_with(begin) || !name.ends_with(ending) || name.size() < begin.size() + ending.size())
    return std::nullopt;
  name.remove_suffix(ending.size());
  for (int numbers = 0; numbers < 2; ++numbers) {
    if (!take_number(&name)) return std::nullopt;
  }
  if (name.size() < begin.size()) return std::nullopt;
  const size_t dot = name.rfind('.');
  // The tag follows `begin` directly, or after a dot.
  return std::string(name.substr(std::max(begin.size(), dot == name.npos ? 0 : dot + 1)));
}

void remove_if_abandoned(const fs::path& path, bool own_host) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  const int opened = descriptor < 0 && errno == EISDIR
                         ? ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                         : descriptor;
  if (opened < 0) return;
  struct stat status {};
  const bool has_status = ::fstat(opened, &status) == 0;
  const bool file = has_status && S_ISREG(status.st_mode), folder = has_status && S_ISDIR(status.st_mode);
  const bool old = file && status.st_mtime < std::time(nullptr) - kDay;
  if ((own_host ? file || folder : old) && ::flock(opened, LOCK_EX | LOCK_NB) == 0) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  ::close(opened);
}

}  // namespace

std::string temporary_tag() {
  static std::atomic<unsigned> next{0};
  return fmt::format("{}.{}.{}", short_host_name(), ::getpid(), next++);
}

bool lock_temporary(int descriptor) {
  while (::flock(descriptor, LOCK_EX) != 0 && errno == EINTR) {
  }
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && status.st_nlink > 0;
}

void remove_abandoned(const std::string& begin, const std::string& ending) {
  const fs::path path(begin);
  const std::string name = path.filename().string(), host = short_host_name();
  std::vector<std::pair<fs::path, bool>> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(path.has_parent_path() ? path.parent_path() : fs::path("."), ignored)) {
    const std::optional<std::string> maker = host_in(entry.path().filename().string(), name, ending);
    if (maker) found.emplace_back(entry.path(), *maker == host);
  }
  for (const auto& [file, own_host] : found) remove_if_abandoned(file, own_host);
}

void flush_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  // Some network file systems refuse to flush a folder; the file itself is safe by then.
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace trainer
