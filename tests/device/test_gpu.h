// Opens the GPU for the tests of the CUDA device.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/error.h"
#include "runtime/open_device.h"
#include "test_environment.h"

namespace trainer {

// The GPU that TRAINER_TEST_DEVICE names, with the installed plugin and libraries; if it names none, the emulated GPU
// of tests/emulated_gpu. nullptr and the reason if this build has none.
inline std::unique_ptr<Device> open_test_gpu(std::string* reason) {
  if (tests_run_on_gpu()) return open_device(test_device());
#ifdef EMULATED_LIBRARIES
  setenv("TRAINER_CUDA_LIBRARIES", EMULATED_LIBRARIES, 1);
  setenv("XDG_CACHE_HOME", EMULATED_LIBRARIES "/cache", 1);
  setenv("EMULATED_GPUS", "2", 1);
  unsetenv("CUDA_VISIBLE_DEVICES");
  return open_device(DeviceSpec::cuda(0));
#else
  *reason = "this build has no CUDA device";
  return nullptr;
#endif
}

inline bool is_emulated(const Device& gpu) { return gpu.name().find("Emulated GPU") != std::string::npos; }

// The kernels, copies and library calls queued on the emulated GPU so far (emulated_queued).
inline int64_t queued_on_emulated_gpu() {
#ifdef EMULATED_LIBRARIES
  static const auto queued = reinterpret_cast<long long (*)()>(
      dlsym(dlopen(EMULATED_LIBRARIES "/libemulated_cudart.so", RTLD_NOW | RTLD_NOLOAD), "emulated_queued"));
  return queued();
#else
  return 0;
#endif
}

// Whether there are `count` GPUs.
inline bool has_gpus(int count) {
  try {
    open_device(DeviceSpec::cuda(count - 1));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace trainer
