// How many cores this process may use.
#include "base/cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/text.h"

namespace trainer {
namespace {

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Version 2 writes "max 100000" or "150000 100000".
double quota_v2(const std::string& folder) {
  std::istringstream line(read_line(folder + "/cpu.max"));
  double quota = 0, period = 0;
  return line >> quota >> period && quota > 0 && period > 0 ? quota / period : 0;
}

double quota_v1(const std::string& folder) {
  const double quota = std::atof(read_line(folder + "/cpu.cfs_quota_us").c_str());
  const double period = std::atof(read_line(folder + "/cpu.cfs_period_us").c_str());
  return quota > 0 && period > 0 ? quota / period : 0;
}

// A limit set on any parent holds as well. Inside a container the path of /proc/self/cgroup may not exist
// under the mount; its own group is then the mount itself, which the walk ends with.
double smallest_quota(const std::string& root, std::string path, double (*quota)(const std::string&)) {
  double smallest = 0;
  while (true) {
    const double here = quota(root + path);
    if (here > 0 && (smallest == 0 || here < smallest)) smallest = here;
    const size_t slash = path.rfind('/');
    if (path.empty() || slash == std::string::npos) return smallest;
    path.resize(slash);
  }
}

int affinity_cores(int machine) {
  // The kernel refuses a set smaller than its own number of possible CPUs.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(cpus));
    if (set == nullptr) break;
    const size_t size = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    const bool known = sched_getaffinity(0, size, set) == 0;
    const int count = known ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (known) return std::max(1, count);
  }
  return machine;
}

}  // namespace

double cgroup_cpu_quota(const std::string& proc_cgroup, const std::string& mount) {
  double smallest = 0;
  for (const std::string& line : split(proc_cgroup, '\n')) {
    // "0::/user.slice" (version 2) or "4:cpu,cpuacct:/group" (version 1).
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    double quota = 0;
    if (controllers.empty()) {
      quota = smallest_quota(mount, path, quota_v2);
    } else {
      const std::vector<std::string> names = split(controllers, ',');
      if (std::find(names.begin(), names.end(), "cpu") == names.end()) continue;
      quota = smallest_quota(mount + "/cpu", path, quota_v1);
    }
    if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
  }
  return smallest;
}

CoreGrant granted_cores() {
  CoreGrant grant;
  grant.machine = std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  grant.affinity = affinity_cores(grant.machine);
  std::ifstream file("/proc/self/cgroup");
  std::ostringstream text;
  text << file.rdbuf();
  grant.quota = cgroup_cpu_quota(text.str(), "/sys/fs/cgroup");
  grant.usable = grant.affinity;
  if (grant.quota > 0)
    grant.usable = std::min(grant.usable, std::max(1, static_cast<int>(std::ceil(grant.quota))));
  if (const char* demanded = std::getenv("OMP_NUM_THREADS"))
    grant.omp_threads = std::max(0, std::atoi(demanded));
  if (grant.omp_threads > 0) grant.usable = grant.omp_threads;
  return grant;
}

int usable_cores() {
  // More threads than this only fail to start.
  static const int cores = std::min(granted_cores().usable, 1024);
  return cores;
}

}  // namespace trainer
