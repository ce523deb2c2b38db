// Opens the GPU that tests of the CUDA device run on.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "base/error.h"
#include "runtime/device.h"

namespace trainer {

// The one that TRAINER_TEST_DEVICE names, with the plugin and the libraries that are there; where it names none, the one
// that tests/emulated_gpu emulates. nullptr, with the reason, where this build has none.
inline std::unique_ptr<Device> open_test_gpu(std::string* reason) {
  const char* named = std::getenv("TRAINER_TEST_DEVICE");
  if (named != nullptr && std::string(named).rfind("cuda:", 0) == 0) return open_device(named);
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

inline bool is_emulated(const Device& gpu) { return gpu.name().find("Emulated GPU") != std::string::npos; }

// Whether there are so many.
inline bool has_gpus(int count) {
  try {
    open_device("cuda:" + std::to_string(count - 1));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace trainer
