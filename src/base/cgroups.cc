// CPU quotas and memory limits of control groups. A group's parents may set tighter limits, so all of them are read.
#include "base/cgroups.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <vector>

#include "base/text.h"

namespace trainer {
namespace {

// The first number in a file, or -1 if there is none.
int64_t read_number(const std::string& path) {
  std::ifstream file(path);
  int64_t value = -1;
  return file >> value ? value : -1;
}

// Version 2 writes "max 100000" or "150000 100000" into one file.
double quota_of(const std::string& folder, int version) {
  double quota = 0, period = 0;
  if (version == 2) {
    std::ifstream file(folder + "/cpu.max");
    if (!(file >> quota >> period)) return 0;
  } else {
    quota = static_cast<double>(read_number(folder + "/cpu.cfs_quota_us"));
    period = static_cast<double>(read_number(folder + "/cpu.cfs_period_us"));
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

// The number after `name` in a file of lines "NAME NUMBER", or 0 if there is none.
int64_t read_entry(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string entry, rest;
  int64_t value = 0;
  while (file >> entry >> value) {
    if (entry == name) return value;
    std::getline(file, rest);
  }
  return 0;
}

int64_t memory_left_of(const std::string& folder, int version) {
  const bool second = version == 2;
  const int64_t limit = read_number(folder + (second ? "/memory.max" : "/memory.limit_in_bytes"));
  if (limit < 0) return std::numeric_limits<int64_t>::max();
  const int64_t used = read_number(folder + (second ? "/memory.current" : "/memory.usage_in_bytes"));
  const std::string statistics = folder + "/memory.stat", prefix = second ? "" : "total_";
  const int64_t cached =
      read_entry(statistics, prefix + "inactive_file") + read_entry(statistics, prefix + "active_file");
  return std::max<int64_t>(0, limit - std::max<int64_t>(0, used - cached));
}

}  // namespace

void for_each_cgroup(const std::string& controller, const std::string& root,
                     const std::function<void(const std::string& folder, int version)>& visit) {
  std::ifstream list(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(list, line)) {
    // "0::/user.slice" (version 2) or "4:cpu,cpuacct:/group" (version 1).
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::vector<std::string> names = split(line.substr(first + 1, second - first - 1), ',');
    const int version = names.front().empty() ? 2 : 1;
    if (version == 1 && std::find(names.begin(), names.end(), controller) == names.end()) continue;
    const std::string mount = root + "/sys/fs/cgroup" + (version == 1 ? "/" + controller : "");
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    visit(mount + path, version);
    while (!path.empty()) {
      const size_t slash = path.rfind('/');
      path.resize(slash == std::string::npos ? 0 : slash);
      visit(mount + path, version);
    }
  }
}

double cgroup_cpu_quota(const std::string& root) {
  double smallest = 0;
  for_each_cgroup("cpu", root, [&](const std::string& folder, int version) {
    const double quota = quota_of(folder, version);
    if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
  });
  return smallest;
}

int64_t free_host_memory(const std::string& root) {
  const int64_t available = read_entry(root + "/proc/meminfo", "MemAvailable:") * 1024;
  int64_t left = available > 0 ? available : std::numeric_limits<int64_t>::max();
  for_each_cgroup("memory", root, [&](const std::string& folder, int version) {
    left = std::min(left, memory_left_of(folder, version));
  });
  return left;
}

}  // namespace trainer
