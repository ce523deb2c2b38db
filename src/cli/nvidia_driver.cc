// What NVIDIA's driver says about its GPUs.
#include "cli/nvidia_driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstddef>

namespace trainer {
namespace {

// The few declarations of cuda.h that are needed: the driver is asked without the toolkit.
using Result = int;
using DeviceHandle = int;
constexpr Result kSuccess = 0, kStubLibrary = 34, kNoDevice = 100;

struct Attribute {
  int number;
  const char* label;
};
constexpr int kComputeMajor = 75, kComputeMinor = 76;
constexpr Attribute kAttributes[] = {
    {8, "Total shared memory per block"},
    {12, "Total registers per block"},
    {10, "Warp size"},
    {11, "Maximum memory pitch"},
    {1, "Maximum threads per block"},
    {13, "Clock rate (kHz)"},
    {9, "Total constant memory"},
    {14, "Texture alignment"},
    {16, "Number of multiprocessors"},
    {17, "Kernel execution timeout"},
};

struct Driver {
  void* library = nullptr;
  Result (*init)(unsigned) = nullptr;
  Result (*driver_version)(int*) = nullptr;
  Result (*device_count)(int*) = nullptr;
  Result (*device)(DeviceHandle*, int) = nullptr;
  Result (*device_name)(char*, int, DeviceHandle) = nullptr;
  Result (*total_memory)(size_t*, DeviceHandle) = nullptr;
  Result (*attribute)(int*, int, DeviceHandle) = nullptr;

  template <typename Function>
  bool find(Function& function, const char* symbol) {
    function = reinterpret_cast<Function>(dlsym(library, symbol));
    return function != nullptr;
  }
  bool complete() {
    return find(init, "cuInit") && find(driver_version, "cuDriverGetVersion") &&
           find(device_count, "cuDeviceGetCount") && find(device, "cuDeviceGet") &&
           find(device_name, "cuDeviceGetName") && find(total_memory, "cuDeviceTotalMem_v2") &&
           find(attribute, "cuDeviceGetAttribute");
  }
};

std::string reason(Result result) {
  if (result == kNoDevice) return "the driver sees no GPU (CUDA_VISIBLE_DEVICES may hide them)";
  if (result == kStubLibrary) return "libcuda.so.1 is the toolkit's stub, not a driver";
  return fmt::format("the driver answers with error {}", result);
}

NvidiaGpu read_gpu(const Driver& driver, int id, Result* result) {
  NvidiaGpu gpu;
  gpu.id = id;
  DeviceHandle handle = 0;
  char name[256] = {};
  size_t memory = 0;
  *result = driver.device(&handle, id);
  if (*result == kSuccess) *result = driver.device_name(name, sizeof name - 1, handle);
  if (*result == kSuccess) *result = driver.total_memory(&memory, handle);
  if (*result == kSuccess) *result = driver.attribute(&gpu.major, kComputeMajor, handle);
  if (*result == kSuccess) *result = driver.attribute(&gpu.minor, kComputeMinor, handle);
  gpu.name = name;
  gpu.memory = memory;
  for (const Attribute& attribute : kAttributes) {
    int value = 0;
    if (driver.attribute(&value, attribute.number, handle) == kSuccess)
      gpu.properties.emplace_back(attribute.label, value);
  }
  return gpu;
}

}  // namespace

NvidiaDriver query_nvidia_driver() {
  NvidiaDriver answer;
  Driver driver;
  // Never closed: the driver keeps threads of its own.
  driver.library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver.library == nullptr) {
    const char* error = dlerror();
    answer.unavailable =
        fmt::format("no NVIDIA driver ({})", error != nullptr ? error : "libcuda.so.1 cannot be opened");
    return answer;
  }
  if (!driver.complete()) {
    answer.unavailable = "the NVIDIA driver is too old: libcuda.so.1 lacks functions";
    return answer;
  }
  int count = 0;
  Result result = driver.init(0);
  driver.driver_version(&answer.version);
  if (result == kSuccess) result = driver.device_count(&count);
  if (result == kSuccess && count == 0) result = kNoDevice;
  for (int id = 0; id < count && result == kSuccess; ++id)
    answer.gpus.push_back(read_gpu(driver, id, &result));
  if (result != kSuccess) answer.unavailable = reason(result);
  return answer;
}

}  // namespace trainer
