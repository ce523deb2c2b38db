// Queries NVIDIA's driver.
#include "gpus/nvidia_driver.h"

#include <fmt/format.h>

#include <cstddef>

#include "base/dynamic_library.h"

namespace trainer {
namespace {

// The declarations of cuda.h that are needed, so that the build needs no toolkit.
using Result = int;
using DeviceHandle = int;
constexpr Result kSuccess = 0, kStubLibrary = 34, kNoDevice = 100, kDriverMismatch = 803;
struct Uuid {
  unsigned char bytes[16];
};

struct Attribute {
  int number;
  const char* label;
};
constexpr int kComputeMajor = 75, kComputeMinor = 76, kComputeMode = 20;
constexpr int kProhibited = 2, kExclusiveProcess = 3;
constexpr Attribute kAttributes[] = {
    {8, "Total shared memory per block"}, {12, "Total registers per block"}, {10, "Warp size"},
    {11, "Maximum memory pitch"},         {1, "Maximum threads per block"},  {13, "Clock rate (kHz)"},
    {9, "Total constant memory"},         {14, "Texture alignment"},         {16, "Number of multiprocessors"},
    {17, "Kernel execution timeout"},
};

// The requirements of the CUDA device.
constexpr int kLeastVersion = 13000, kLeastCapability = 75;

struct Driver : DynamicLibrary {
  Result (*init)(unsigned) = nullptr;
  Result (*driver_version)(int*) = nullptr;
  Result (*device_count)(int*) = nullptr;
  Result (*device)(DeviceHandle*, int) = nullptr;
  Result (*device_name)(char*, int, DeviceHandle) = nullptr;
  Result (*total_memory)(size_t*, DeviceHandle) = nullptr;
  Result (*attribute)(int*, int, DeviceHandle) = nullptr;
  Result (*uuid)(Uuid*, DeviceHandle) = nullptr;

  Driver() : DynamicLibrary({"libcuda.so.1"}) {
    find(init, "cuInit");
    find(driver_version, "cuDriverGetVersion");
    find(device_count, "cuDeviceGetCount");
    find(device, "cuDeviceGet");
    find(device_name, "cuDeviceGetName");
    find(total_memory, "cuDeviceTotalMem_v2");
    find(attribute, "cuDeviceGetAttribute");
    find_optional(uuid, "cuDeviceGetUuid_v2");
  }
};

std::string reason(Result result) {
  if (result == kNoDevice) return "the driver sees no GPU (CUDA_VISIBLE_DEVICES may hide them)";
  if (result == kStubLibrary)
    return "libcuda.so.1 is the toolkit's stub, not a driver: remove its folder from LD_LIBRARY_PATH";
  if (result == kDriverMismatch)
    return "libcuda.so.1 and the loaded NVIDIA driver are of different versions: restart the machine";
  return fmt::format("the NVIDIA driver returns error {}", result);
}

// The form of CUDA_VISIBLE_DEVICES and nvidia-smi: a part of a GPU has the prefix MIG.
std::string uuid_text(const Uuid& uuid, const std::string& name) {
  std::string text = name.find(" MIG ") != std::string::npos ? "MIG" : "GPU";
  for (size_t i = 0; i < sizeof uuid.bytes; ++i)
    text += fmt::format("{}{:02x}", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid.bytes[i]);
  return text;
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
  Uuid uuid{};
  if (driver.uuid != nullptr && driver.uuid(&uuid, handle) == kSuccess) gpu.uuid = uuid_text(uuid, gpu.name);
  int mode = 0;
  driver.attribute(&mode, kComputeMode, handle);
  gpu.prohibited = mode == kProhibited;
  gpu.exclusive = mode == kExclusiveProcess;
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
  const Driver driver;
  if (!driver.problem().empty()) {
    answer.unavailable =
        fmt::format("{} ({})", driver.found() ? "the NVIDIA driver is too old" : "no NVIDIA driver", driver.problem());
    return answer;
  }
  int count = 0;
  Result result = driver.init(0);
  driver.driver_version(&answer.version);
  if (result == kSuccess) result = driver.device_count(&count);
  if (result == kSuccess && count == 0) result = kNoDevice;
  for (int id = 0; id < count && result == kSuccess; ++id) answer.gpus.push_back(read_gpu(driver, id, &result));
  if (result != kSuccess) answer.unavailable = reason(result);
  return answer;
}

std::string cuda_version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string refuse_driver(const NvidiaDriver& driver) {
  if (!driver.unavailable.empty() || driver.version >= kLeastVersion) return driver.unavailable;
  return fmt::format("the NVIDIA driver is too old: it supports CUDA {}, and {} is needed",
                     cuda_version_text(driver.version), cuda_version_text(kLeastVersion));
}

std::string refuse_gpu(const NvidiaGpu& gpu) {
  if (gpu.major * 10 + gpu.minor < kLeastCapability)
    return fmt::format("its compute capability is {}.{}; CUDA 13 needs 7.5 (Turing) or newer", gpu.major, gpu.minor);
  if (gpu.prohibited) return "its compute mode is prohibited (an administrator allows it with nvidia-smi -c 0)";
  return "";
}

}  // namespace trainer
