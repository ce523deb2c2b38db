// What every function of the emulated runtime does: one call at a time, errors kept, calls logged, handles looked up.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "device_memory.h"
#include "streams.h"

namespace emulator {

inline thread_local int current_device = 0;
inline thread_local cudaError_t last_error = cudaSuccess;

// Held during a call; when none is left, devices' memories are closed.
class Call {
 public:
  Call();
  ~Call();
};

// Keeps what cudaGetLastError returns.
inline cudaError_t result_of(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

// Ends the process where the thread left the error of an earlier call: libraries and launches look at cudaGetLastError,
// and would report it as theirs.
void require_no_error(const char* before);

__attribute__((format(printf, 1, 2))) void log(const char* format, ...);
inline const char* captured(const Stream& stream) { return stream.capture == nullptr ? "" : " captured"; }

// nullptr for what is no live stream or event.
std::shared_ptr<Stream> find(cudaStream_t handle);
std::shared_ptr<Event> find(cudaEvent_t handle);
std::set<std::shared_ptr<Event>>& events();

}  // namespace emulator
