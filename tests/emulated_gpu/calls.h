// Common to all functions of the emulated runtime: the lock, the last error, the log and handles.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "device_memory.h"
#include "streams.h"

namespace emulator {

inline thread_local int current_device = 0;
inline thread_local cudaError_t last_error = cudaSuccess;

// Held during a call. At the end of the outermost call, the devices' memories are closed.
class Call {
 public:
  Call();
  ~Call();
};

// Sets the result of cudaGetLastError.
inline cudaError_t result_of(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

// Ends the process if the error of an earlier call is pending: libraries and launches check cudaGetLastError and would
// report it as their own.
void require_no_error(const char* before);

__attribute__((format(printf, 1, 2))) void log(const char* format, ...);
inline const char* captured(const Stream& stream) { return stream.capture == nullptr ? "" : " captured"; }

// nullptr if the handle is not a live stream or event.
std::shared_ptr<Stream> find(cudaStream_t handle);
std::shared_ptr<Event> find(cudaEvent_t handle);
std::set<std::shared_ptr<Event>>& events();

}  // namespace emulator
