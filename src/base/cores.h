// The number of cores that this process may use, from affinity, cgroup quota and OMP_NUM_THREADS.
#pragma once

namespace trainer {

struct CoreGrant {
  int machine = 1;      // cores that are online
  int affinity = 1;     // cores that the scheduler may run this process on
  double quota = 0;     // the cgroup's CPU quota in cores; 0 if there is none
  int omp_threads = 0;  // the first number of OMP_NUM_THREADS; 0 if it is unset or not a number
  int granted = 1;      // min(affinity, quota rounded up)
  int usable = 1;       // OMP_NUM_THREADS if set, else `granted`
};

// Reads the system at each call.
CoreGrant granted_cores();

// granted_cores().usable at the first call.
int usable_cores();

}  // namespace trainer
