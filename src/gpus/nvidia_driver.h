// Queries NVIDIA's driver for its GPUs, without opening a context.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace trainer {

struct NvidiaGpu {
  int id = 0;
  std::string name;
  std::string uuid;                                         // "GPU-...", "MIG-..."; "" if the driver is too old
  int major = 0, minor = 0;                                 // compute capability
  uint64_t memory = 0;                                      // bytes
  bool prohibited = false, exclusive = false;               // compute mode: for no process, for one process
  std::vector<std::pair<std::string, int64_t>> properties;  // label, value
};

struct NvidiaDriver {
  std::string unavailable;  // why there is no GPU: no driver, no device, ...; or ""
  int version = 0;          // of CUDA that the driver supports: 13000 is 13.0; 0 without a driver
  std::vector<NvidiaGpu> gpus;
};

// Opens libcuda.so.1, which respects CUDA_VISIBLE_DEVICES.
NvidiaDriver query_nvidia_driver();

// "13.0" of 13000.
std::string cuda_version_text(int version);

// Why this program cannot use the driver: it is unavailable or too old; or "".
std::string refuse_driver(const NvidiaDriver& driver);

// Why this program cannot use the GPU at all: its generation or its compute mode; or "".
std::string refuse_gpu(const NvidiaGpu& gpu);

}  // namespace trainer
