// Reads the names of processes from /proc.
#include "gpus/processes.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <vector>

#include "base/lock_holder.h"
#include "base/text.h"

namespace trainer {

std::string user_name(uid_t user) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return fmt::format("user {}", user);
}

std::string process_text(int pid) {
  const std::string folder = fmt::format("/proc/{}", pid);
  struct stat status {};
  if (stat(folder.c_str(), &status) != 0) return fmt::format("pid {}", pid);
  std::string name;
  std::ifstream file(folder + "/comm");
  std::getline(file, name);
  return fmt::format("pid {} ({}{}{})", pid, user_name(status.st_uid), name.empty() ? "" : ", ", printable(name));
}

std::string own_command(size_t most) {
  std::ifstream file("/proc/self/cmdline");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (char& c : text) {
    if (c == '\0') c = ' ';
  }
  return trim(text.substr(0, most));
}

}  // namespace trainer
