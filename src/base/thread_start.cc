// Starts and ends threads to check that the system allows them.
#include "base/thread_start.h"

#include <pthread.h>

#include <cstdlib>
#include <mutex>
#include <vector>

#include "base/error.h"

namespace trainer {
namespace {

// The stack size that the environment sets for libgomp's threads; 0 for none.
size_t omp_stack_bytes() {
  for (const char* name : {"OMP_STACKSIZE", "GOMP_STACKSIZE"}) {
    const char* text = std::getenv(name);
    if (text == nullptr) continue;
    char* unit = nullptr;
    const size_t number = std::strtoull(text, &unit, 10);
    if (unit == text) continue;
    while (*unit == ' ') ++unit;
    switch (*unit) {
      case 'b':
      case 'B': return number;
      case 'm':
      case 'M': return number << 20;
      case 'g':
      case 'G': return number << 30;
      default: return number << 10;
    }
  }
  return 0;
}

}  // namespace

Error too_few_threads() {
  return device_error(
      "the system cannot start more threads. The limit of processes of this user (`ulimit -u`) or of the container "
      "(pids) is too small for the cores of this machine: raise it, or set OMP_NUM_THREADS to a smaller number. "
      "OMP_STACKSIZE may also be too large");
}

void try_threads(int count) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  const size_t stack = omp_stack_bytes();
  if (stack > 0) pthread_attr_setstacksize(&attributes, stack);
  std::mutex gate;
  std::vector<pthread_t> threads;
  int result = 0;
  {
    const std::lock_guard<std::mutex> closed(gate);
    for (int i = 0; i < count && result == 0; ++i) {
      pthread_t thread{};
      result = pthread_create(
          &thread, &attributes,
          [](void* argument) -> void* {
            const std::lock_guard<std::mutex> wait(*static_cast<std::mutex*>(argument));
            return nullptr;
          },
          &gate);
      if (result == 0) threads.push_back(thread);
    }
  }
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  if (result != 0) throw too_few_threads();
}

}  // namespace trainer
