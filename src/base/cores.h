// How many cores this process may use: what it was given, not what the machine has.
#pragma once

#include <string>

namespace trainer {

struct CoreGrant {
  int machine = 1;      // cores that are online
  int affinity = 1;     // cores that the scheduler may run this process on
  double quota = 0;     // the cgroup's CPU quota in cores; 0 where there is none
  int omp_threads = 0;  // the first number of OMP_NUM_THREADS; 0 where it is not set or no number
  int usable = 1;       // OMP_NUM_THREADS where set; else the affinity, no more than the quota rounded up
};

// Reads the system each time it is called.
CoreGrant granted_cores();

// granted_cores().usable as it was at the first call.
int usable_cores();

// The smallest quota, in cores, of the cgroup named in `proc_cgroup` (text of /proc/self/cgroup) and its
// parents, versions 1 and 2, with the hierarchy mounted at `mount` ("/sys/fs/cgroup"); 0 where there is none.
double cgroup_cpu_quota(const std::string& proc_cgroup, const std::string& mount);

}  // namespace trainer
