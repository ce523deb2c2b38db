// A fake libnvidia-ml.so.1: it lists the processes on all GPUs of fake_gpus.h, independent of CUDA_VISIBLE_DEVICES.
#include <cstdint>
#include <cstring>

#include "fake_gpus.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kSuccess = 0, kNotFound = 6, kInsufficientSize = 7;

struct Memory {
  unsigned long long total, free, used;
};
struct ProcessInfo {
  unsigned pid;
  unsigned long long memory;
  unsigned gpu_instance, compute_instance;
};

// A handle is the number of a GPU plus one.
fake::Gpu gpu_of(void* handle) { return fake::all_gpus().at(reinterpret_cast<uintptr_t>(handle) - 1); }

}  // namespace

EXPORTED int nvmlInit_v2() { return fake::number_of("FAKE_NVML_INIT", kSuccess); }
EXPORTED int nvmlShutdown() { return kSuccess; }

EXPORTED int nvmlSystemGetDriverVersion(char* version, unsigned size) {
  std::strncpy(version, "580.65.06", size);
  return kSuccess;
}

EXPORTED int nvmlDeviceGetHandleByUUID(const char* uuid, void** handle) {
  const std::vector<fake::Gpu> gpus = fake::all_gpus();
  for (size_t i = 0; i < gpus.size(); ++i) {
    if (gpus[i].uuid == uuid) {
      *handle = reinterpret_cast<void*>(i + 1);
      return kSuccess;
    }
  }
  return kNotFound;
}

EXPORTED int nvmlDeviceGetMemoryInfo(void* handle, Memory* memory) {
  const fake::Gpu gpu = gpu_of(handle);
  *memory = {gpu.memory, gpu.memory - gpu.used, gpu.used};
  return kSuccess;
}

EXPORTED int nvmlDeviceGetComputeRunningProcesses_v3(void* handle, unsigned* count, ProcessInfo* infos) {
  const std::vector<fake::Process> processes = gpu_of(handle).processes;
  const bool fits = processes.size() <= *count;
  *count = static_cast<unsigned>(processes.size());
  if (!fits) return kInsufficientSize;
  for (size_t i = 0; i < processes.size(); ++i) infos[i] = {processes[i].pid, processes[i].memory, 0, 0};
  return kSuccess;
}
