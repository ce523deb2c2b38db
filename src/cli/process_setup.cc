// Sets the process up before a command runs.
#include "cli/process_setup.h"

#include <cpuid.h>
#include <immintrin.h>
#include <omp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/cores.h"
#include "base/error.h"
#include "base/thread_start.h"
#include "cli/glog_sink.h"
#include "ranks/launcher.h"

namespace trainer {
namespace {

// Set for the restarted program, so that it restarts only once.
constexpr const char* kGuard = "TRAINER_STARTED_AGAIN";

// Waiting threads sleep: on a shared machine threads that spin take the core of the thread that they wait for.
constexpr const char* kWaitVariable = "OMP_WAIT_POLICY";
constexpr const char* kWaitValue = "passive";
constexpr const char* kSpinVariable = "GOMP_SPINCOUNT";  // the user may set this instead

constexpr const char* kBlasVariable = "OPENBLAS_CORETYPE";
constexpr const char* kBlasValue = "SkylakeX";

// OpenBLAS 0.3.21 supports AMD's families up to 0x19 (Zen 4) and treats later ones as Haswell, at half the speed.
bool openblas_misses_avx512() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0) return false;
  char vendor[13] = {};
  std::memcpy(vendor, &ebx, 4);
  std::memcpy(vendor + 4, &edx, 4);
  std::memcpy(vendor + 8, &ecx, 4);
  if (std::strcmp(vendor, "AuthenticAMD") != 0) return false;
  __get_cpuid(1, &eax, &ebx, &ecx, &edx);
  const unsigned family = ((eax >> 8) & 0xf) + ((eax >> 20) & 0xff);
  return family > 0x19 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

// The threads of this process if others of its run share the host's cores, and the launcher has not divided the cores
// among them; 0 if it has all cores that it may use.
int share_of_threads() {
  try {
    const int processes = find_rank(RanksFlag::kAuto).local_size.value_or(1);
    const CoreGrant cores = granted_cores();
    if (processes <= 1 || cores.omp_threads > 0 || cores.affinity < cores.machine) return 0;
    return std::max(1, cores.granted / processes);
  } catch (const Error&) {
    return 0;  // the command reports it
  }
}

// Returns true if it set a variable, which the loaded libraries have not seen.
bool complete_environment() {
  bool changed = false;
  if (const int threads = share_of_threads(); threads > 0)
    changed = setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 1) == 0;
  if (std::getenv(kWaitVariable) == nullptr && std::getenv(kSpinVariable) == nullptr)
    changed = setenv(kWaitVariable, kWaitValue, 1) == 0 || changed;
  if (std::getenv(kBlasVariable) == nullptr && openblas_misses_avx512())
    changed = setenv(kBlasVariable, kBlasValue, 1) == 0 || changed;
  return changed;
}

}  // namespace

void set_up_process(char** argv, bool computes) {
  if (computes) {
    if (std::getenv(kGuard) == nullptr && complete_environment() && setenv(kGuard, "1", 1) == 0)
      execv("/proc/self/exe", argv);
    unsetenv(kGuard);
    prctl(PR_SET_NAME, "trainer");  // the restart has made it "exe"
    // New threads inherit the mode.
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
    _mm_setcsr(_mm_getcsr() | 0x0040);  // denormals are read as zero, too
    // oneDNN gives wrong results with fewer threads than planned: dynamic teams are off.
    omp_set_dynamic(0);
    const int threads = std::min(usable_cores(), omp_get_thread_limit());
    omp_set_num_threads(threads);
    try_threads(threads - 1);
  }
  // A write beyond the file-size limit fails with an error message, not with a signal.
  std::signal(SIGXFSZ, SIG_IGN);
  set_up_logging(argv[0]);
}

}  // namespace trainer
