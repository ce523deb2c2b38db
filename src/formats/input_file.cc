// A binary file opened for reading.
#include "formats/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace trainer {

InputFile::InputFile(const std::string& path, const char* what) : path_(path) {
  // O_NONBLOCK: opening a named pipe must not wait for its other end.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) {
    throw data_error("cannot read {} {}: {}", what, path, std::strerror(errno));
  }
  struct stat status {};
  const bool has_status = ::fstat(descriptor_, &status) == 0;
  if (!has_status || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw data_error("cannot read {} {}: it is {}", what, path,
                     has_status && S_ISDIR(status.st_mode) ? "a folder" : "not a regular file");
  }
  size_ = status.st_size;
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(int64_t offset, void* out, int64_t count) const {
  char* to = static_cast<char*>(out);
  while (count > 0) {
    const ssize_t got = ::pread(descriptor_, to, static_cast<size_t>(std::min<int64_t>(count, 1 << 30)), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw data_error("cannot read {} at byte {}: {}", path_, offset, std::strerror(errno));
    if (got == 0) throw data_error("{} ends at byte {}; {} bytes more were expected", path_, offset, count);
    to += got;
    offset += got;
    count -= got;
  }
}

bool InputFile::looks_like_text() const {
  std::vector<char> head(static_cast<size_t>(std::min<int64_t>(size_, 4096)));
  read(0, head.data(), static_cast<int64_t>(head.size()));
  return !head.empty() && std::all_of(head.begin(), head.end(), [](char c) {
    const unsigned char byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7F) || byte == '\n' || byte == '\r' || byte == '\t' || byte == '\f';
  });
}

}  // namespace trainer
