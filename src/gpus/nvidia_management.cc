// Queries NVIDIA's management library.
#include "gpus/nvidia_management.h"

#include <fmt/format.h>

#include "base/dynamic_library.h"
#include "base/text.h"
#include "gpus/processes.h"

namespace trainer {
namespace {

// The few declarations of nvml.h that are needed.
using Result = int;
using DeviceHandle = struct OpaqueDevice*;
constexpr Result kSuccess = 0, kNoPermission = 4, kInsufficientSize = 7, kDriverNotLoaded = 9, kVersionMismatch = 18;
struct Memory {
  unsigned long long total, free, used;
};
struct ProcessInfo {
  unsigned pid;
  unsigned long long memory;
  unsigned gpu_instance, compute_instance;
};
constexpr unsigned long long kNotAvailable = ~0ull;

struct Management : DynamicLibrary {
  Result (*init)() = nullptr;
  Result (*shutdown)() = nullptr;
  Result (*driver_version)(char*, unsigned) = nullptr;
  Result (*device_by_uuid)(const char*, DeviceHandle*) = nullptr;
  Result (*memory)(DeviceHandle, Memory*) = nullptr;
  Result (*processes)(DeviceHandle, unsigned*, ProcessInfo*) = nullptr;

  Management() : DynamicLibrary({"libnvidia-ml.so.1"}) {
    find(init, "nvmlInit_v2");
    find(shutdown, "nvmlShutdown");
    find(driver_version, "nvmlSystemGetDriverVersion");
    find(device_by_uuid, "nvmlDeviceGetHandleByUUID");
    find(memory, "nvmlDeviceGetMemoryInfo");
    find(processes, "nvmlDeviceGetComputeRunningProcesses_v3");
  }
};

std::string reason(Result result) {
  if (result == kNoPermission) return "this user has no permission to use NVIDIA's management library";
  if (result == kDriverNotLoaded) return "the NVIDIA driver is not loaded";
  if (result == kVersionMismatch)
    return "NVIDIA's management library and the loaded driver are of different versions: restart the machine";
  return fmt::format("NVIDIA's management library returns error {}", result);
}

std::vector<GpuProcess> read_processes(const Management& management, DeviceHandle device) {
  constexpr size_t kMostTries = 4;  // their number may grow between the calls
  std::vector<ProcessInfo> list;
  Result result = kInsufficientSize;
  for (size_t i = 0; i < kMostTries && result == kInsufficientSize; ++i) {
    unsigned count = static_cast<unsigned>(list.size());
    result = management.processes(device, &count, list.data());
    list.resize(result == kInsufficientSize ? 2 * count + 8 : result == kSuccess ? count : 0);
  }
  std::vector<GpuProcess> out;
  if (result != kSuccess) return out;
  for (const ProcessInfo& info : list)
    out.push_back({static_cast<int>(info.pid), info.memory == kNotAvailable ? -1 : static_cast<int64_t>(info.memory)});
  return out;
}

GpuUse read_use(const Management& management, const std::string& uuid) {
  GpuUse use;
  DeviceHandle device = nullptr;
  Memory memory{};
  if (uuid.empty() || management.device_by_uuid(uuid.c_str(), &device) != kSuccess ||
      management.memory(device, &memory) != kSuccess)
    return use;
  use.known = true;
  use.used = static_cast<int64_t>(memory.used);
  use.free = static_cast<int64_t>(memory.free);
  use.total = static_cast<int64_t>(memory.total);
  use.processes = read_processes(management, device);
  return use;
}

}  // namespace

NvidiaManagement query_nvidia_management(const std::vector<NvidiaGpu>& gpus) {
  NvidiaManagement answer;
  answer.uses.resize(gpus.size());
  const Management management;
  answer.unavailable = management.problem();
  if (!answer.unavailable.empty()) return answer;
  const Result result = management.init();
  if (result != kSuccess) {
    answer.unavailable = reason(result);
    return answer;
  }
  char version[96] = {};
  if (management.driver_version(version, sizeof version - 1) == kSuccess) answer.driver_version = version;
  for (size_t i = 0; i < gpus.size(); ++i) answer.uses[i] = read_use(management, gpus[i].uuid);
  management.shutdown();
  return answer;
}

std::string process_text(const GpuProcess& process) {
  return process_text(process.pid) + (process.memory < 0 ? "" : ", " + format_bytes(process.memory));
}

}  // namespace trainer
