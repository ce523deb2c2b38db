// Appends to a file of the run folder.
#include "report/append_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace trainer {

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool AppendFile::open(const std::string& path) {
  if (descriptor_ >= 0) ::close(descriptor_);
  path_ = path;
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("open", errno);
  return descriptor_ >= 0;
}

void AppendFile::write(std::string_view bytes) {
  while (descriptor_ >= 0 && !bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail("write", errno);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void AppendFile::fail(const char* action, int error) {
  if (problem_.empty()) problem_ = fmt::format("cannot {} {}: {}", action, path_, std::strerror(error));
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

std::string write_whole_file(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".part";
  ::unlink(temporary.c_str());
  AppendFile file;
  if (file.open(temporary)) file.write(bytes);
  if (file.problem().empty() && ::rename(temporary.c_str(), path.c_str()) == 0) return "";
  const int error = errno;
  ::unlink(temporary.c_str());
  return !file.problem().empty() ? file.problem() : fmt::format("cannot replace {}: {}", path, std::strerror(error));
}

}  // namespace trainer
