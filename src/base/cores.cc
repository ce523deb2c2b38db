// Counts the cores that this process may use.
#include "base/cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/cgroups.h"

namespace trainer {
namespace {

int affinity_cores(int machine) {
  // sched_getaffinity refuses a set that is smaller than the number of possible CPUs of the kernel.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(cpus));
    if (set == nullptr) break;
    const size_t size = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    const bool succeeded = sched_getaffinity(0, size, set) == 0;
    const int count = succeeded ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (succeeded) return std::max(1, count);
  }
  return machine;
}

}  // namespace

CoreGrant granted_cores() {
  CoreGrant grant;
  grant.machine = std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  grant.affinity = affinity_cores(grant.machine);
  grant.quota = cgroup_cpu_quota();
  grant.granted = grant.affinity;
  if (grant.quota > 0) grant.granted = std::min(grant.granted, std::max(1, static_cast<int>(std::ceil(grant.quota))));
  if (const char* demanded = std::getenv("OMP_NUM_THREADS")) grant.omp_threads = std::max(0, std::atoi(demanded));
  grant.usable = grant.omp_threads > 0 ? grant.omp_threads : grant.granted;
  return grant;
}

int usable_cores() {
  // Thread creation fails beyond about this number.
  static const int cores = std::min(granted_cores().usable, 1024);
  return cores;
}

}  // namespace trainer
