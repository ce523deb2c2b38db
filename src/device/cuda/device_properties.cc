// Properties of devices, read and typical.
#include "device/cuda/device_properties.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "base/error.h"
#include "device/cuda/check.h"

namespace trainer::cuda {

DeviceProperties properties_of(int ordinal) {
  cudaDeviceProp read;
  check_on(ordinal, cudaGetDeviceProperties(&read, ordinal), "reading its properties");
  DeviceProperties p;
  p.name = read.name;
  p.major = read.major;
  p.minor = read.minor;
  p.multiprocessors = read.multiProcessorCount;
  p.memory = static_cast<int64_t>(read.totalGlobalMem);
  p.l2_cache = read.l2CacheSize;
  p.shared_memory = static_cast<int64_t>(read.sharedMemPerBlockOptin);
  return p;
}

DeviceProperties typical_properties(const std::string& architecture) {
  constexpr int64_t kKiB = 1024, kMiB = kKiB * kKiB, kGiB = kMiB * kKiB;
  for (const DeviceProperties& p : {DeviceProperties{"NVIDIA T4", 7, 5, 40, 15 * kGiB, 4 * kMiB, 64 * kKiB},
                                    DeviceProperties{"NVIDIA A100", 8, 0, 108, 40 * kGiB, 40 * kMiB, 163 * kKiB},
                                    DeviceProperties{"NVIDIA L4", 8, 9, 58, 23 * kGiB, 48 * kMiB, 99 * kKiB},
                                    DeviceProperties{"NVIDIA H100", 9, 0, 132, 80 * kGiB, 50 * kMiB, 227 * kKiB},
                                    DeviceProperties{"NVIDIA B200", 10, 0, 148, 180 * kGiB, 126 * kMiB, 227 * kKiB},
                                    DeviceProperties{"NVIDIA RTX 5090", 12, 0, 170, 32 * kGiB, 96 * kMiB, 99 * kKiB}}) {
    if (p.architecture() == architecture) return p;
  }
  throw config_error("no GPU \"{}\" is known to plan for: sm_75, sm_80, sm_89, sm_90, sm_100 and sm_120 are", architecture);
}

std::string DeviceProperties::cudnn_json() const {
  return fmt::format(
      R"({{"version":1,"deviceName":"{}","deviceVer":{},"driverVer":13000,"cudaDeviceId":0,"pciDeviceId":0,"isTccDriver":0,)"
      R"("supportCoopLaunch":1,"multiProcessorCount":{},"warpSize":32,"maxThreadsPerBlock":1024,"maxThreadsPerSM":{},)"
      R"("maxCtasPerSM":{},"regsPerBlock":65536,"maxRegistersPerSM":65536,"maxSharedMemoryPerBlock":49152,)"
      R"("maxSharedMemoryPerBlockOptin":{},"reservedSharedMemoryPerBlock":{},"totalGlobalMem":{},"l2CacheSize":{},)"
      R"("smClockRateKHz":1700000,"memClockRateKHz":2600000,"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64]}})",
      name, major * 100 + minor * 10, multiprocessors, major == 7 ? 1024 : major * 10 + minor == 80 || major == 9 || major == 10 ? 2048 : 1536,
      major == 7 ? 16 : 32, shared_memory, major == 7 ? 0 : 1024, memory, l2_cache);
}

}  // namespace trainer::cuda
