// Ends the program if the limit of its address space is too small for OpenBLAS, which allocates buffers when it is
// loaded and retries for ever.
//
// Functions in .preinit_array run before the initializers of libraries. Only system calls are usable at that time.
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

#include "base/error.h"

namespace {

// OpenBLAS allocates a buffer for each of its threads, of which it has at most this many.
constexpr long kBufferBytes = long{128} << 20;
constexpr long kMostThreads = 128;
// For the other libraries, up to main, which can report errors.
constexpr long kOtherBytes = long{16} << 20;

constexpr char kMessage[] =
    "trainer: error: the limit of the address space leaves the libraries no memory to start: OpenBLAS takes 128 MiB "
    "for each thread. Raise the limit (`ulimit -v unlimited`, or the setting of this job), or use fewer threads "
    "(OMP_NUM_THREADS=1)\n";

// The number in an environment variable, as OpenBLAS reads it; 0 if it is not set.
__attribute__((no_sanitize("address", "thread", "undefined"))) long number_of(char** environment, const char* name) {
  const size_t length = __builtin_strlen(name);
  for (; *environment != nullptr; ++environment) {
    const char* entry = *environment;
    size_t i = 0;
    while (i < length && entry[i] == name[i]) ++i;
    if (i < length || entry[i] != '=') continue;
    long number = 0;
    for (++i; entry[i] >= '0' && entry[i] <= '9' && number < kMostThreads; ++i) number = 10 * number + (entry[i] - '0');
    return number;
  }
  return 0;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) long openblas_threads(char** environment) {
  unsigned long cpus[16] = {};
  const long bytes = syscall(SYS_sched_getaffinity, 0, sizeof cpus, cpus);
  long threads = 0;
  for (unsigned long word : cpus) threads += __builtin_popcountl(word);
  if (bytes <= 0 || threads > kMostThreads) threads = kMostThreads;
  for (const char* name : {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"}) {
    const long wanted = number_of(environment, name);
    if (wanted > 0) return wanted < threads ? wanted : threads;
  }
  return threads;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) void check_address_space(int, char**,
                                                                                        char** environment) {
  const long needed = openblas_threads(environment) * kBufferBytes + kOtherBytes;
  const long map =
      syscall(SYS_mmap, nullptr, needed, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map != -1) {
    syscall(SYS_munmap, map, needed);
    return;
  }
  if (syscall(SYS_write, STDERR_FILENO, kMessage, sizeof kMessage - 1) < 0) {
    // The standard error is closed.
  }
  syscall(SYS_exit_group, static_cast<int>(trainer::ExitCode::kDevice));
}

__attribute__((section(".preinit_array"), used)) void (*const check_at_start)(int, char**,
                                                                              char**) = check_address_space;

}  // namespace
