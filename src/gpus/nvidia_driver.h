// What NVIDIA's driver says about its GPUs, asked without opening a context on any of them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace trainer {

struct NvidiaGpu {
  int id = 0;
  std::string name;
  std::string uuid;                            // "GPU-...", "MIG-..."; "" where the driver is too old to tell
  int major = 0, minor = 0;                    // compute capability
  uint64_t memory = 0;                         // bytes
  bool prohibited = false, exclusive = false;  // compute mode: for nobody, for one process
  std::vector<std::pair<std::string, int64_t>> properties;  // label, value
};

struct NvidiaDriver {
  std::string unavailable;  // why there are no GPUs to ask: no driver, no device, ...; "" where there are
  int version = 0;          // of CUDA that the driver knows: 13000 is 13.0; 0 where there is no driver
  std::vector<NvidiaGpu> gpus;
};

// Opens libcuda.so.1 where it is there. Respects CUDA_VISIBLE_DEVICES, as the driver does.
NvidiaDriver query_nvidia_driver();

// "13.0" of 13000.
std::string cuda_version_text(int version);

// Why this program cannot compute with the driver, which may also be too old; or "".
std::string refuse_driver(const NvidiaDriver& driver);

// Why it cannot compute on the GPU, whoever uses it: its generation or its mode; or "".
std::string refuse_gpu(const NvidiaGpu& gpu);

}  // namespace trainer
