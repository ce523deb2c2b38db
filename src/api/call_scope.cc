// Thread settings for the duration of a library call.
#include "api/call_scope.h"

#include <immintrin.h>
#include <omp.h>

#include <algorithm>

#include "base/cores.h"
#include "base/error.h"
#include "base/thread_start.h"

namespace trainer {
namespace {

constexpr int kMaxThreads = 1024;  // OpenMP ends a process whose stack cannot hold its list of threads

// OpenMP keeps the team of each calling thread, so only a larger team starts threads.
void try_larger_team(int threads) {
  thread_local int largest = 1;
  if (threads <= largest) return;
  try_threads(threads - largest);
  largest = threads;
}

}  // namespace

int threads_of(int requested) {
  if (requested < 0 || requested > kMaxThreads)
    throw config_error("threads is {}; give at most {}, or 0 for the cores of the process", requested, kMaxThreads);
  return std::min(requested > 0 ? requested : usable_cores(), omp_get_thread_limit());
}

CallScope::CallScope(int threads, CallerLog& log)
    : attachment_(log, LogSource::kThisThread),
      threads_(omp_get_max_threads()),
      dynamic_(omp_get_dynamic()),
      float_mode_(_mm_getcsr()) {
  if (omp_in_parallel() != 0)
    throw config_error("trainer is called inside a parallel region of OpenMP: call it outside");
  try_larger_team(threads);
  constexpr unsigned kDenormalsAreZero = 0x0040;
  _mm_setcsr(float_mode_ | _MM_FLUSH_ZERO_ON | kDenormalsAreZero);
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
}

CallScope::~CallScope() {
  omp_set_num_threads(threads_);
  omp_set_dynamic(dynamic_);
  _mm_setcsr(float_mode_);
}

}  // namespace trainer
