// Queries the driver's management library (NVML) for the users of GPUs, without opening a context.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gpus/nvidia_driver.h"

namespace trainer {

struct GpuProcess {
  int pid = 0;
  int64_t memory = -1;  // bytes; -1 if the driver does not report it
};

struct GpuUse {
  bool known = false;                     // if false, all fields below are empty
  int64_t used = 0, free = 0, total = 0;  // bytes
  std::vector<GpuProcess> processes;      // that compute
};

struct NvidiaManagement {
  std::string unavailable;     // why nothing is known; or ""
  std::string driver_version;  // "580.65.06"
  std::vector<GpuUse> uses;    // one for each GPU asked for
};

// Identifies GPUs by UUID, as the library has its own numbering and ignores CUDA_VISIBLE_DEVICES. A missing library is
// not an error.
NvidiaManagement query_nvidia_management(const std::vector<NvidiaGpu>& gpus);

// "pid 4242 (alice, python3), 1.2 GiB"
std::string process_text(const GpuProcess& process);

}  // namespace trainer
