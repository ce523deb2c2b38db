// Who uses NVIDIA's GPUs, as the driver's management library (NVML) knows it; no context is opened on any of
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gpus/nvidia_driver.h"

namespace trainer {

struct GpuProcess {
  int pid = 0;
  int64_t memory = -1;  // bytes; -1 where the driver does not tell
};

struct GpuUse {
  bool known = false;                     // where it is not, all below is empty
  int64_t used = 0, free = 0, total = 0;  // bytes
  std::vector<GpuProcess> processes;      // that compute
};

struct NvidiaManagement {
  std::string unavailable;     // why nothing is known; "" where the library answers
  std::string driver_version;  // "580.65.06"
  std::vector<GpuUse> uses;    // one for each GPU asked for
};

// The library numbers GPUs in an order of its own, whatever CUDA_VISIBLE_DEVICES says: they are told apart by
// UUID. That it is not there is no error.
NvidiaManagement query_nvidia_management(const std::vector<NvidiaGpu>& gpus);

// "pid 4242 (alice, python3), 1.2 GiB"
std::string process_text(const GpuProcess& process);

}  // namespace trainer
