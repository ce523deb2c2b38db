// The state of all calls.
#include "calls.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace emulator {
namespace {

std::recursive_mutex& mutex() {
  static auto* instance = new std::recursive_mutex;
  return *instance;
}

int depth = 0;

}  // namespace

Call::Call() {
  mutex().lock();
  ++depth;
}
Call::~Call() {
  if (--depth == 0) open_memory(0, nullptr);
  mutex().unlock();
}

void require_no_error(const char* before) {
  if (last_error == cudaSuccess) return;
  std::fprintf(stderr, "emulated GPU: %s is started while the error %s of an earlier call is left\n", before,
               cudaGetErrorName(last_error));
  std::abort();
}

void log(const char* format, ...) {
  static FILE* const file = [] {
    const char* path = std::getenv("EMULATED_GPU_LOG");
    FILE* opened = path == nullptr ? nullptr : std::fopen(path, "a");
    if (opened != nullptr) setvbuf(opened, nullptr, _IOLBF, 1 << 12);
    return opened;
  }();
  if (file == nullptr) return;
  va_list values;
  va_start(values, format);
  std::vfprintf(file, format, values);
  va_end(values);
}

std::shared_ptr<Stream> find(cudaStream_t handle) {
  for (const auto& stream : streams()) {
    if (stream.get() == reinterpret_cast<Stream*>(handle)) return stream;
  }
  return nullptr;
}

std::set<std::shared_ptr<Event>>& events() {
  static auto* all = new std::set<std::shared_ptr<Event>>;
  return *all;
}
std::shared_ptr<Event> find(cudaEvent_t handle) {
  for (const auto& event : events()) {
    if (event.get() == reinterpret_cast<Event*>(handle)) return event;
  }
  return nullptr;
}

}  // namespace emulator
