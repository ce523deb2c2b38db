// How many cores this process may use: what it was given, not what the machine has.
#pragma once

namespace trainer {

struct CoreGrant {
  int machine = 1;      // cores that are online
  int affinity = 1;     // cores that the scheduler may run this process on
  double quota = 0;     // the cgroup's CPU quota in cores; 0 where there is none
  int omp_threads = 0;  // the first number of OMP_NUM_THREADS; 0 where it is not set or no number
  int granted = 1;      // the affinity, no more than the quota rounded up
  int usable = 1;       // OMP_NUM_THREADS where set; else `granted`
};

// Reads the system each time it is called.
CoreGrant granted_cores();

// granted_cores().usable as it was at the first call.
int usable_cores();

}  // namespace trainer
