// Reads and writes the holder's name in a lock file.
#include "base/lock_holder.h"

#include <unistd.h>

namespace trainer {

void write_holder(int file, std::string_view holder) {
  if (ftruncate(file, 0) != 0 || pwrite(file, holder.data(), holder.size(), 0) < 0) return;
}

std::string read_holder(int file) {
  constexpr size_t kMostContent = 512;
  std::string content(kMostContent, '\0');
  const ssize_t size = pread(file, content.data(), content.size(), 0);
  content.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return content;
}

}  // namespace trainer
