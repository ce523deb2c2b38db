// A fake libcuda.so.1: it describes the GPUs of fake_gpus.h and cannot compute. A CUDA runtime that opens it finds a
// driver without the functions that it needs. Plans are possible: cuDNN 9.19 lists engines with generated code only if
// the driver has the functions at the end.
#include <cstddef>
#include <cstring>

#include "fake_gpus.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kSuccess = 0, kInvalidValue = 1, kNotInitialized = 3, kNoDevice = 100, kInvalidDevice = 101,
              kNotFound = 500;
constexpr int kComputeMode = 20, kComputeMajor = 75, kComputeMinor = 76;

bool initialized = false;
char anything;  // the target of all handles

// The numbers and UUIDs of CUDA_VISIBLE_DEVICES, up to the first that is not a GPU.
std::vector<fake::Gpu> visible_gpus() {
  const std::vector<fake::Gpu> all = fake::all_gpus();
  const char* text = std::getenv("CUDA_VISIBLE_DEVICES");
  if (text == nullptr) return all;
  std::vector<fake::Gpu> visible;
  for (const std::string& word : fake::parts_of(text, ',')) {
    const fake::Gpu* found = nullptr;
    for (size_t i = 0; i < all.size(); ++i) {
      if (word == std::to_string(i) || word == all[i].uuid) found = &all[i];
    }
    if (found == nullptr) break;
    visible.push_back(*found);
  }
  return visible;
}

template <typename Answer>
int ask(int device, Answer answer) {
  if (!initialized) return kNotInitialized;
  const std::vector<fake::Gpu> gpus = visible_gpus();
  if (device < 0 || static_cast<size_t>(device) >= gpus.size()) return kInvalidDevice;
  return answer(gpus[static_cast<size_t>(device)]);
}

}  // namespace

EXPORTED int cuInit(unsigned) {
  const int error = fake::number_of("FAKE_CUDA_INIT", visible_gpus().empty() ? kNoDevice : kSuccess);
  initialized = error == kSuccess;
  return error;
}

EXPORTED int cuDriverGetVersion(int* version) {
  *version = fake::number_of("FAKE_CUDA_VERSION", 13000);
  return kSuccess;
}

EXPORTED int cuDeviceGetCount(int* count) {
  if (!initialized) return kNotInitialized;
  *count = static_cast<int>(visible_gpus().size());
  return kSuccess;
}

EXPORTED int cuDeviceGet(int* device, int ordinal) {
  return ask(ordinal, [&](const fake::Gpu&) {
    *device = ordinal;
    return kSuccess;
  });
}

EXPORTED int cuDeviceGetName(char* name, int size, int device) {
  return ask(device, [&](const fake::Gpu& gpu) {
    std::strncpy(name, gpu.name.c_str(), static_cast<size_t>(size));
    return kSuccess;
  });
}

EXPORTED int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  return ask(device, [&](const fake::Gpu& gpu) {
    *bytes = gpu.memory;
    return kSuccess;
  });
}

EXPORTED int cuDeviceGetAttribute(int* value, int attribute, int device) {
  return ask(device, [&](const fake::Gpu& gpu) {
    if (attribute == kComputeMode) return *value = gpu.mode, kSuccess;
    if (attribute == kComputeMajor) return *value = gpu.major, kSuccess;
    if (attribute == kComputeMinor) return *value = gpu.minor, kSuccess;
    return *value = attribute, kSuccess;
  });
}

EXPORTED int cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
  return ask(device, [&](const fake::Gpu& gpu) {
    std::string digits;
    for (const char c : gpu.uuid.substr(std::strlen("GPU-"))) {
      if (c != '-') digits += c;
    }
    digits.resize(32, '0');
    for (size_t i = 0; i < 16; ++i)
      uuid[i] = static_cast<unsigned char>(std::strtoul(digits.substr(2 * i, 2).c_str(), nullptr, 16));
    return kSuccess;
  });
}

EXPORTED int cuGetProcAddress_v2(const char*, void** address, int, unsigned long long, int*) {
  *address = nullptr;
  return kNotFound;
}

EXPORTED int cuGetExportTable(const void**, const void*) { return kInvalidValue; }

// Unused parameters are omitted; callers pass them nevertheless.

#define GIVES_A_HANDLE(name) \
  EXPORTED int name(void** handle) { return *handle = &anything, kSuccess; }
GIVES_A_HANDLE(cuLibraryGetKernel)
GIVES_A_HANDLE(cuLibraryLoadData)
GIVES_A_HANDLE(cuLibraryLoadFromFile)

#define DOES_NOTHING(name) \
  EXPORTED int name() { return kSuccess; }
DOES_NOTHING(cuCtxGetCurrent)
DOES_NOTHING(cuCtxGetLimit)
DOES_NOTHING(cuCtxPopCurrent)
DOES_NOTHING(cuCtxPushCurrent)
DOES_NOTHING(cuGetErrorName)
DOES_NOTHING(cuGetErrorString)
DOES_NOTHING(cuKernelGetAttribute)
DOES_NOTHING(cuKernelSetAttribute)
DOES_NOTHING(cuLaunchCooperativeKernel)
DOES_NOTHING(cuLaunchKernel)
DOES_NOTHING(cuLaunchKernelEx)
DOES_NOTHING(cuLibraryUnload)
DOES_NOTHING(cuLinkAddData)
DOES_NOTHING(cuLinkComplete)
DOES_NOTHING(cuLinkCreate)
DOES_NOTHING(cuLinkDestroy)
DOES_NOTHING(cuOccupancyMaxPotentialClusterSize)
DOES_NOTHING(cuStreamGetCtx)
