// Devices, errors, memory and copies of the emulated runtime (emulated_runtime.h).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "calls.h"
#include "emulated_runtime.h"

using namespace emulator;

namespace {

const char* const kKinds[] = {"HostToHost", "HostToDevice", "DeviceToHost", "DeviceToDevice"};

cudaError_t copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
  const auto stream = find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  const int to_device = device_of(to, bytes), from_device = device_of(from, bytes);
  // Device addresses outside allocations.
  for (const auto& [address, device] : {std::pair<const void*, int>{to, to_device}, {from, from_device}}) {
    if (device < 0 && is_device_address(reinterpret_cast<uint64_t>(address))) return cudaErrorInvalidValue;
  }
  const int actual = (from_device >= 0 ? 2 : 0) + (to_device >= 0 ? 1 : 0);
  if (kind != cudaMemcpyDefault && kind != actual) return cudaErrorInvalidValue;
  const bool pageable = (to_device < 0 && !is_pinned(to, bytes)) || (from_device < 0 && !is_pinned(from, bytes));
  if (stream->capture != nullptr && pageable) {
    stream->capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  log("copy %s %zu bytes %s stream=%d%s\n", kKinds[actual], bytes, pageable ? "pageable" : "pinned", stream->number,
      captured(*stream));
  Work work;
  work.name = std::string("copy ") + kKinds[actual];
  work.devices = (to_device >= 0 ? uint32_t{1} << to_device : 0) | (from_device >= 0 ? uint32_t{1} << from_device : 0);
  const char* const how = std::getenv("EMULATED_GPU_PAGEABLE");
  if (actual == cudaMemcpyHostToDevice && pageable && (how == nullptr || std::strcmp(how, "unstaged") != 0)) {
    const char* bytes_of_source = static_cast<const char*>(from);
    work.run = [to, staged = std::vector<char>(bytes_of_source, bytes_of_source + bytes)] {
      std::memcpy(to, staged.data(), staged.size());
    };
  } else {
    work.run = [to, from, bytes] { std::memmove(to, from, bytes); };
  }
  const cudaError_t result = enqueue(stream, std::move(work));
  return result == cudaSuccess && pageable && actual != cudaMemcpyHostToDevice ? synchronize(*stream) : result;
}

cudaError_t fill(void* memory, int value, size_t bytes, cudaStream_t handle) {
  const auto stream = find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  const int device = device_of(memory, bytes);
  if (device < 0) return cudaErrorInvalidValue;
  log("fill %zu bytes stream=%d%s\n", bytes, stream->number, captured(*stream));
  Work work;
  work.name = "fill";
  work.devices = uint32_t{1} << device;
  work.run = [memory, value, bytes] { std::memset(memory, value, bytes); };
  return enqueue(stream, std::move(work));
}

// The thread that launches collective work, if any.
std::thread::id starting;

// For calls that may wait for all devices.
void refuse_while_starting(const char* what) {
  if (starting == std::thread::id() || starting == std::this_thread::get_id()) return;
  std::fprintf(stderr, "emulated GPU: %s while another thread starts a collective: each may wait for the other\n",
               what);
  std::abort();
}

cudaError_t allocate_pinned(void** memory, size_t bytes) {
  refuse_while_starting("page-locked memory is taken");
  if (const cudaError_t unsafe = unsafe_call(); unsafe != cudaSuccess) return unsafe;
  const size_t size = (std::max<size_t>(bytes, 1) + 4095) / 4096 * 4096;
  *memory = std::aligned_alloc(4096, size);
  if (*memory == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*memory, 0xFF, size);
  pin(*memory, size);
  log("malloc host %zu bytes\n", bytes);
  return cudaSuccess;
}

// For calls that wait for a device: not permitted during a capture of its work.
cudaError_t synchronize_device(int device) {
  if (const cudaError_t unsafe = unsafe_call(device); unsafe != cudaSuccess) return unsafe;
  execute_device(device);
  return cudaSuccess;
}

}  // namespace

void emulated_starts_together(bool starts) {
  const Call call;
  starting = starts ? std::this_thread::get_id() : std::thread::id();
}

bool emulated_on_device(const void* memory, size_t bytes) {
  const Call call;
  const int device = device_of(memory, bytes);
  return device == current_device;
}

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  const Call call;
  if (device_count() == 0) return result_of(cudaErrorNoDevice);
  *count = device_count();
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  const Call call;
  if (device_count() == 0) return result_of(cudaErrorNoDevice);
  if (device < 0 || device >= device_count()) return result_of(cudaErrorInvalidDevice);
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const Call call;
  if (device < 0 || device >= device_count()) return result_of(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "Emulated GPU");
  const char* const capability = std::getenv("EMULATED_GPU_CAPABILITY");
  const int number = capability == nullptr ? 90 : std::atoi(capability);
  properties->major = number / 10;
  properties->minor = number % 10;
  properties->multiProcessorCount = 4;
  properties->totalGlobalMem = memory_of(device);
  properties->l2CacheSize = 50 << 20;
  properties->sharedMemPerBlock = 48 << 10;
  properties->sharedMemPerBlockOptin = 227 << 10;
  properties->regsPerBlock = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->asyncEngineCount = 2;
  properties->unifiedAddressing = properties->canMapHostMemory = 1;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

#define EMULATED_ERRORS(X)                                                                                         \
  X(cudaSuccess, "no error")                                                                                       \
  X(cudaErrorInvalidValue, "invalid argument")                                                                     \
  X(cudaErrorMemoryAllocation, "out of memory")                                                                    \
  X(cudaErrorNotReady, "device not ready")                                                                         \
  X(cudaErrorIllegalAddress, "an illegal memory access was encountered")                                           \
  X(cudaErrorInvalidConfiguration, "invalid configuration argument")                                               \
  X(cudaErrorInvalidDevice, "invalid device ordinal")                                                              \
  X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                                       \
  X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                                     \
  X(cudaErrorSymbolNotFound, "named symbol not found")                                                             \
  X(cudaErrorInvalidKernelImage, "device kernel image is invalid")                                                 \
  X(cudaErrorNotSupported, "operation not supported")                                                              \
  X(cudaErrorIllegalState, "the operation cannot be performed in the present state")                               \
  X(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")                         \
  X(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture")                  \
  X(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences")                \
  X(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began")                       \
  X(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work")                                          \
  X(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream")                    \
  X(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread") \
  X(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream")

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define X(name, text) \
  case name: return #name;
    EMULATED_ERRORS(X)
#undef X
    default: return "unrecognized error code";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
#define X(name, text) \
  case name: return text;
    EMULATED_ERRORS(X)
#undef X
    default: return "unrecognized error code";
  }
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  const Call call;
  if (const cudaError_t unsafe = unsafe_call(); unsafe != cudaSuccess) return result_of(unsafe);
  if (current_device >= device_count()) return result_of(cudaErrorNoDevice);
  log("malloc device %d %zu bytes\n", current_device, bytes);
  *memory = bytes == 0 ? nullptr : allocate(current_device, bytes);
  return *memory == nullptr && bytes > 0 ? result_of(cudaErrorMemoryAllocation) : cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  const Call call;
  if (memory == nullptr) return cudaSuccess;
  const int device = device_of(memory, 0);
  if (device < 0) return result_of(cudaErrorInvalidValue);
  log("free device %d\n", device);
  if (const cudaError_t result = synchronize_device(device); result != cudaSuccess) return result_of(result);
  return release(memory) ? cudaSuccess : result_of(cudaErrorInvalidValue);
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const Call call;
  if (current_device >= device_count()) return result_of(cudaErrorNoDevice);
  *free = free_memory_of(current_device);
  *total = memory_of(current_device);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  const Call call;
  return result_of(allocate_pinned(memory, bytes));
}
cudaError_t cudaFreeHost(void* memory) {
  const Call call;
  if (memory == nullptr) return cudaSuccess;
  refuse_while_starting("page-locked memory is given back");
  if (const cudaError_t unsafe = unsafe_call(); unsafe != cudaSuccess) return result_of(unsafe);
  for (int device = 0; device < device_count(); ++device) execute_device(device);
  log("free host\n");
  if (!unpin(memory)) return result_of(cudaErrorInvalidValue);
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  const Call call;
  *attributes = {};
  const int device = device_of(memory, 0);
  const bool on_device = device >= 0, on_host = is_pinned(memory, 1);
  attributes->type = on_device ? cudaMemoryTypeDevice : on_host ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
  attributes->device = on_device ? device : on_host ? current_device : -2;
  attributes->devicePointer = on_device || on_host ? const_cast<void*>(memory) : nullptr;
  attributes->hostPointer = on_device ? nullptr : const_cast<void*>(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Call call;
  return result_of(copy(to, from, bytes, kind, stream));
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  const Call call;
  return result_of(fill(memory, value, bytes, stream));
}

}  // extern "C"
