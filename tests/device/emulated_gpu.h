// Opens the GPU that tests/emulated_gpu emulates.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "base/error.h"
#include "runtime/device.h"

namespace trainer {

// nullptr, with the reason, where this build has none.
inline std::unique_ptr<Device> open_emulated_gpu(std::string* reason) {
#ifdef EMULATED_LIBRARIES
  setenv("TRAINER_CUDA_LIBRARIES", EMULATED_LIBRARIES, 1);
  setenv("XDG_CACHE_HOME", EMULATED_LIBRARIES "/cache", 1);
  setenv("EMULATED_GPUS", "2", 1);
  unsetenv("CUDA_VISIBLE_DEVICES");
  try {
    return open_device("cuda:0");
  } catch (const Error& error) {
    *reason = error.what();
    if (reason->find("computes on the CPU only") == std::string::npos) throw;
  }
#else
  *reason = "this build has no CUDA device";
#endif
  return nullptr;
}

}  // namespace trainer
