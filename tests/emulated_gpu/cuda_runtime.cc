// The functions of the CUDA runtime that the plugin calls, for GPUs that are emulated (emulated_runtime.h).
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "cuda_emulator.h"
#include "device_memory.h"
#include "emulated_runtime.h"
#include "streams.h"

using namespace emulator;

namespace {

struct Library {
  int file = -1;  // open as long as the library is: names of opened libraries must differ
  void* opened = nullptr;
};

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;
thread_local bool in_host_function = false;

std::recursive_mutex& mutex() {
  static auto* instance = new std::recursive_mutex;
  return *instance;
}

// One call at a time; when none is left, devices' memories are closed.
class Call {
 public:
  Call() {
    if (in_host_function) fail("a function queued by cudaLaunchHostFunc calls the runtime");
    mutex().lock();
    ++depth_;
  }
  ~Call() {
    if (--depth_ == 0) open_memory(0, nullptr);
    mutex().unlock();
  }
  [[noreturn]] static void fail(const char* message) {
    std::fprintf(stderr, "emulated GPU: %s\n", message);
    std::abort();
  }

 private:
  static inline int depth_ = 0;
};

cudaError_t result_of(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

__attribute__((format(printf, 1, 2))) void log(const char* format, ...) {
  static FILE* const file = [] {
    const char* path = std::getenv("EMULATED_GPU_LOG");
    FILE* opened = path == nullptr ? nullptr : std::fopen(path, "a");
    if (opened != nullptr) setvbuf(opened, nullptr, _IOLBF, 1 << 12);
    return opened;
  }();
  if (file == nullptr) return;
  va_list values;
  va_start(values, format);
  std::vfprintf(file, format, values);
  va_end(values);
}

// As CUDA's: the runtime is called with handles that were valid once.
std::shared_ptr<Stream> find(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread) return stream_zero(current_device);
  for (const auto& stream : streams()) {
    if (stream.get() == reinterpret_cast<Stream*>(handle)) return stream;
  }
  return nullptr;
}

std::set<std::shared_ptr<Event>>& events() {
  static auto* all = new std::set<std::shared_ptr<Event>>;
  return *all;
}
std::shared_ptr<Event> find(cudaEvent_t handle) {
  for (const auto& event : events()) {
    if (event.get() == reinterpret_cast<Event*>(handle)) return event;
  }
  return nullptr;
}

// Devices whose memory each device may touch beside its own.
uint32_t& peers_of(int device) {
  static uint32_t masks[32] = {};
  return masks[device];
}
uint32_t reach_of(int device) { return uint32_t{1} << device | peers_of(device); }

const char* captured(const Stream& stream) { return stream.capture == nullptr ? "" : " captured"; }

cudaError_t enqueue_kernel(const EmulatedKernel& kernel, const void* argument, unsigned blocks, unsigned x, unsigned y, cudaStream_t handle) {
  const auto stream = find(handle);
  if (stream == nullptr || stream->device != current_device) return cudaErrorInvalidResourceHandle;
  if (blocks == 0 || x * y == 0 || x * y > 1024) return cudaErrorInvalidConfiguration;
  const std::string name(kernel.name, std::strcspn(kernel.name, ",("));
  for (size_t at = 0; at + 8 <= kernel.argument_bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, static_cast<const char*>(argument) + at, sizeof word);
    if (!is_host_address(word)) continue;
    std::fprintf(stderr, "emulated GPU: kernel %s is given an address of the host, 0x%llx, %zu bytes into its arguments\n", name.c_str(),
                 static_cast<unsigned long long>(word), at);
    std::abort();
  }
  log("launch %s stream=%d blocks=%u threads=%u%s\n", name.c_str(), stream->number, blocks, x * y, captured(*stream));
  const std::vector<char> copy(static_cast<const char*>(argument), static_cast<const char*>(argument) + kernel.argument_bytes);
  Work work;
  work.name = "kernel " + name;
  work.devices = reach_of(stream->device);
  work.run = [kernel, name, copy, blocks, x, y] {
    EmulatedKernel named = kernel;
    named.name = name.c_str();
    emulate(named, copy.data(), blocks, x, y);
  };
  return enqueue(stream, std::move(work));
}

const char* const kKinds[] = {"HostToHost", "HostToDevice", "DeviceToHost", "DeviceToDevice"};

cudaError_t copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t handle, bool blocking) {
  const auto stream = find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  const int to_device = device_of(to, bytes), from_device = device_of(from, bytes);
  // Addresses of devices that are not memory of theirs.
  for (const auto& [address, device] : {std::pair<const void*, int>{to, to_device}, {from, from_device}}) {
    if (device < 0 && is_device_address(reinterpret_cast<uint64_t>(address))) return cudaErrorInvalidValue;
  }
  const int actual = (from_device >= 0 ? 2 : 0) + (to_device >= 0 ? 1 : 0);
  if (kind != cudaMemcpyDefault && kind != actual) return cudaErrorInvalidValue;
  const bool pageable = (to_device < 0 && !is_pinned(to, bytes)) || (from_device < 0 && !is_pinned(from, bytes));
  if (stream->capture != nullptr && (pageable || blocking)) {
    stream->capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  log("copy %s %zu bytes %s stream=%d%s%s\n", kKinds[actual], bytes, pageable ? "pageable" : "pinned", stream->number,
      blocking ? " blocking" : "", captured(*stream));
  Work work;
  work.name = std::string("copy ") + kKinds[actual];
  work.devices = (to_device >= 0 ? uint32_t{1} << to_device : 0) | (from_device >= 0 ? uint32_t{1} << from_device : 0);
  if (actual == cudaMemcpyHostToDevice && pageable) {
    const char* bytes_of_source = static_cast<const char*>(from);
    work.run = [to, staged = std::vector<char>(bytes_of_source, bytes_of_source + bytes)] { std::memcpy(to, staged.data(), staged.size()); };
  } else {
    work.run = [to, from, bytes] { std::memmove(to, from, bytes); };
  }
  const cudaError_t result = enqueue(stream, std::move(work));
  if (result == cudaSuccess && (blocking || (pageable && actual != cudaMemcpyHostToDevice))) execute(*stream);
  return result;
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

// So that loops that ask end: who asks a third time in a row waits.
constexpr int kQueries = 3;

cudaError_t create_stream(cudaStream_t* handle, unsigned flags) {
  static int next = 1;
  const auto stream = std::make_shared<Stream>();
  stream->number = next++;
  stream->device = current_device;
  stream->blocking = (flags & cudaStreamNonBlocking) == 0;
  streams().insert(stream);
  *handle = reinterpret_cast<cudaStream_t>(stream.get());
  return cudaSuccess;
}

cudaError_t create_event(cudaEvent_t* handle, unsigned flags) {
  const auto event = std::make_shared<Event>();
  event->device = current_device;
  event->timed = (flags & cudaEventDisableTiming) == 0;
  events().insert(event);
  *handle = reinterpret_cast<cudaEvent_t>(event.get());
  return cudaSuccess;
}

cudaError_t record_event(cudaEvent_t handle, cudaStream_t stream_handle, bool external) {
  const auto event = find(handle);
  const auto stream = find(stream_handle);
  if (event == nullptr || stream == nullptr || event->device != stream->device) return cudaErrorInvalidResourceHandle;
  log("record stream=%d%s\n", stream->number, captured(*stream));
  return record(event, stream, external);
}

cudaError_t allocate_pinned(void** memory, size_t bytes) {
  if (const cudaError_t unsafe = unsafe_call(); unsafe != cudaSuccess) return unsafe;
  const size_t size = (std::max<size_t>(bytes, 1) + 4095) / 4096 * 4096;
  *memory = std::aligned_alloc(4096, size);
  if (*memory == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*memory, 0xFF, size);
  pin(*memory, size);
  log("malloc host %zu bytes\n", bytes);
  return cudaSuccess;
}

// What would wait for a device while work for it is being captured.
cudaError_t synchronize_device(int device) {
  if (const cudaError_t unsafe = unsafe_call(device); unsafe != cudaSuccess) return unsafe;
  execute_device(device);
  return cudaSuccess;
}

}  // namespace

cudaError_t emulated_enqueue(cudaStream_t handle, const char* name, std::function<void()> run) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr || stream->device != current_device) return cudaErrorInvalidResourceHandle;
  log("launch %s stream=%d%s\n", name, stream->number, captured(*stream));
  Work work;
  work.name = name;
  work.devices = reach_of(stream->device);
  work.run = std::move(run);
  return enqueue(stream, std::move(work));
}

bool emulated_on_device(const void* memory, size_t bytes) {
  const Call call;
  const int device = device_of(memory, bytes);
  return device >= 0 && (reach_of(current_device) >> device & 1) != 0;
}

extern "C" {

cudaError_t emulated_launch(const EmulatedKernel& kernel, const void* argument, unsigned blocks, unsigned x, unsigned y, cudaStream_t stream) {
  const Call call;
  return result_of(enqueue_kernel(kernel, argument, blocks, x, y, stream));
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
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
  properties->major = 9;
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
  properties->pciBusID = physical_number(device) + 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t result = cudaGetDeviceProperties(&properties, device); result != cudaSuccess) return result;
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrMaxThreadsPerBlock: *value = properties.maxThreadsPerBlock; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(properties.sharedMemPerBlockOptin); break;
    case cudaDevAttrL2CacheSize: *value = properties.l2CacheSize; break;
    default: return result_of(cudaErrorNotSupported);
  }
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  const Call call;
  if (device < 0 || device >= device_count()) return result_of(cudaErrorInvalidDevice);
  std::snprintf(text, static_cast<size_t>(length), "0000:%02x:00.0", physical_number(device) + 1);
  return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  *can = device != peer;
  return cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned) {
  const Call call;
  if (peer < 0 || peer >= device_count() || peer == current_device) return result_of(cudaErrorInvalidDevice);
  peers_of(current_device) |= uint32_t{1} << peer;
  return cudaSuccess;
}
cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize() {
  const Call call;
  log("sync device %d\n", current_device);
  return result_of(synchronize_device(current_device));
}
cudaError_t cudaDeviceReset() {
  const Call call;
  execute_device(current_device);
  release_all(current_device);
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return last_error; }

#define EMULATED_ERRORS(X)                                                                                              \
  X(cudaSuccess, "no error")                                                                                            \
  X(cudaErrorInvalidValue, "invalid argument")                                                                          \
  X(cudaErrorMemoryAllocation, "out of memory")                                                                         \
  X(cudaErrorInvalidConfiguration, "invalid configuration argument")                                                    \
  X(cudaErrorInvalidDevice, "invalid device ordinal")                                                                   \
  X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                                            \
  X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                                          \
  X(cudaErrorSymbolNotFound, "named symbol not found")                                                                  \
  X(cudaErrorInvalidKernelImage, "device kernel image is invalid")                                                      \
  X(cudaErrorNotReady, "device not ready")                                                                              \
  X(cudaErrorNotSupported, "operation not supported")                                                                   \
  X(cudaErrorIllegalState, "the operation cannot be performed in the present state")                                    \
  X(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")                              \
  X(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture")                       \
  X(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences")                     \
  X(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began")                            \
  X(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work")                                               \
  X(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream")                         \
  X(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream")     \
  X(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread")      \
  X(cudaErrorGraphExecUpdateFailure, "the graph update was not performed because it included changes which violated constraints") \
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
cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  const Call call;
  return result_of(allocate_pinned(memory, bytes));
}
cudaError_t cudaFreeHost(void* memory) {
  const Call call;
  if (memory == nullptr) return cudaSuccess;
  if (const cudaError_t unsafe = unsafe_call(); unsafe != cudaSuccess) return result_of(unsafe);
  for (int device = 0; device < device_count(); ++device) execute_device(device);
  log("free host\n");
  if (!unpin(memory)) return result_of(cudaErrorInvalidValue);
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void* memory, size_t bytes, unsigned) {
  const Call call;
  if (const cudaError_t unsafe = unsafe_call(); unsafe != cudaSuccess) return result_of(unsafe);
  log("pin %zu bytes\n", bytes);
  pin(memory, bytes);
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* memory) {
  const Call call;
  for (int device = 0; device < device_count(); ++device) execute_device(device);
  return unpin(memory) ? cudaSuccess : result_of(cudaErrorHostMemoryNotRegistered);
}
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  const Call call;
  if (!is_pinned(host, 1)) return result_of(cudaErrorInvalidValue);
  *device = host;
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

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const Call call;
  if (const cudaError_t unsafe = unsafe_call(); unsafe != cudaSuccess) return result_of(unsafe);
  return result_of(copy(to, from, bytes, kind, nullptr, true));
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Call call;
  return result_of(copy(to, from, bytes, kind, stream, false));
}
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes, cudaStream_t stream) {
  const Call call;
  if (device_of(to, bytes) != to_device || device_of(from, bytes) != from_device) return result_of(cudaErrorInvalidValue);
  return result_of(copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream, false));
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  const Call call;
  if (const cudaError_t unsafe = unsafe_call(); unsafe != cudaSuccess) return result_of(unsafe);
  return result_of(fill(memory, value, bytes, nullptr));
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  const Call call;
  return result_of(fill(memory, value, bytes, stream));
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  const Call call;
  return create_stream(stream, cudaStreamDefault);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const Call call;
  return create_stream(stream, flags);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  const Call call;
  return create_stream(stream, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr || stream->number == 0) return result_of(cudaErrorInvalidResourceHandle);
  if (stream->capture != nullptr) stream->capture->invalid = true;
  execute(*stream);
  streams().erase(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  log("sync stream=%d\n", stream->number);
  if (stream->capture != nullptr) {
    stream->capture->invalid = true;
    return result_of(cudaErrorStreamCaptureUnsupported);
  }
  execute(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  if (stream->capture != nullptr) {
    stream->capture->invalid = true;
    return result_of(cudaErrorStreamCaptureUnsupported);
  }
  if (++stream->queries >= kQueries) execute(*stream);
  return stream->queue.empty() ? cudaSuccess : result_of(cudaErrorNotReady);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream_handle, cudaEvent_t handle, unsigned flags) {
  const Call call;
  const auto event = find(handle);
  const auto stream = find(stream_handle);
  if (event == nullptr || stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  log("wait stream=%d%s\n", stream->number, captured(*stream));
  return result_of(wait_for(event, stream, (flags & cudaEventWaitExternal) != 0));
}
cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  log("host function stream=%d%s\n", stream->number, captured(*stream));
  Work work;
  work.name = "host function";
  work.run = [function, data] {
    in_host_function = true;
    function(data);
    in_host_function = false;
  };
  return result_of(enqueue(stream, std::move(work)));
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  const Call call;
  return create_event(event, cudaEventDefault);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const Call call;
  return create_event(event, flags);
}
cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  const Call call;
  return events().erase(find(handle)) == 1 ? cudaSuccess : result_of(cudaErrorInvalidResourceHandle);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Call call;
  return result_of(record_event(event, stream, false));
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  const Call call;
  return result_of(record_event(event, stream, (flags & cudaEventRecordExternal) != 0));
}
cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  const Call call;
  const auto event = find(handle);
  if (event == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  log("sync event\n");
  if (event->record == nullptr) return cudaSuccess;
  if (event->record->captured) return result_of(cudaErrorCapturedEvent);
  if (!event->record->done) execute(*event->record->stream, event->record.get());
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t handle) {
  const Call call;
  const auto event = find(handle);
  if (event == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  if (event->record == nullptr || event->record->done) return cudaSuccess;
  if (event->record->captured) return result_of(cudaErrorCapturedEvent);
  if (++event->queries < kQueries) return result_of(cudaErrorNotReady);
  execute(*event->record->stream, event->record.get());
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t first_handle, cudaEvent_t second_handle) {
  const Call call;
  const auto first = find(first_handle), second = find(second_handle);
  for (const auto& event : {first, second}) {
    if (event == nullptr || !event->timed || event->record == nullptr) return result_of(cudaErrorInvalidResourceHandle);
    if (!event->record->done) return result_of(cudaErrorNotReady);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(second->record->time - first->record->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  log("begin capture stream=%d\n", stream->number);
  return result_of(begin_capture(stream, mode));
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, thread_capture_mode());
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  *status = stream->capture == nullptr   ? cudaStreamCaptureStatusNone
            : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                       : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  const Call call;
  const auto stream = find(handle);
  *graph = nullptr;
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  auto made = std::make_unique<Graph>();
  const cudaError_t result = end_capture(stream, made.get());
  log("end capture stream=%d: %zu steps, %s\n", stream->number, made->steps.size(), cudaGetErrorName(result));
  if (result == cudaSuccess) *graph = reinterpret_cast<cudaGraph_t>(made.release());
  return result_of(result);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  const Call call;
  log("instantiate graph\n");
  *executable = reinterpret_cast<cudaGraphExec_t>(new Graph(*reinterpret_cast<Graph*>(graph)));
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
// Steps keep their kinds and branches; all else may change.
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t executable, cudaGraph_t handle, cudaGraphExecUpdateResultInfo* info) {
  const Call call;
  Graph &known = *reinterpret_cast<Graph*>(executable), &graph = *reinterpret_cast<Graph*>(handle);
  const bool same = std::equal(known.steps.begin(), known.steps.end(), graph.steps.begin(), graph.steps.end(),
                               [](const Graph::Step& a, const Graph::Step& b) { return a.branch == b.branch && a.work.name == b.work.name; });
  log("update graph\n");
  info->result = same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
  if (!same) return result_of(cudaErrorGraphExecUpdateFailure);
  known = graph;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t handle) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  log("launch graph stream=%d\n", stream->number);
  if (stream->capture != nullptr) return result_of(cudaErrorNotSupported);
  return result_of(launch(*reinterpret_cast<Graph*>(executable), stream));
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete reinterpret_cast<Graph*>(executable);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}

// The code is what nvrtc.cc makes: ELF, whose length its header tells.
cudaError_t cudaLibraryLoadData(cudaLibrary_t* handle, const void* code, cudaJitOption*, void**, unsigned, cudaLibraryOption*, void**,
                                unsigned) {
  const Call call;
  if (const cudaError_t unsafe = unsafe_call(); unsafe != cudaSuccess) return result_of(unsafe);
  uint64_t sections = 0;
  uint16_t each = 0, count = 0;
  std::memcpy(&sections, static_cast<const char*>(code) + 40, sizeof sections);
  std::memcpy(&each, static_cast<const char*>(code) + 58, sizeof each);
  std::memcpy(&count, static_cast<const char*>(code) + 60, sizeof count);
  const size_t bytes = sections + size_t{each} * count;
  auto library = std::make_unique<Library>();
  library->file = memfd_create("emulated_kernel", MFD_CLOEXEC);
  if (write(library->file, code, bytes) != static_cast<ssize_t>(bytes)) return result_of(cudaErrorInvalidKernelImage);
  library->opened = dlopen(("/proc/self/fd/" + std::to_string(library->file)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library->opened == nullptr) {
    std::fprintf(stderr, "emulated GPU: %s\n", dlerror());
    close(library->file);
    return result_of(cudaErrorInvalidKernelImage);
  }
  log("load library %zu bytes\n", bytes);
  *handle = reinterpret_cast<cudaLibrary_t>(library.release());
  return cudaSuccess;
}
cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library, const char* name) {
  const Call call;
  *kernel = reinterpret_cast<cudaKernel_t>(dlsym(reinterpret_cast<Library*>(library)->opened, (std::string("kernel_") + name).c_str()));
  return *kernel == nullptr ? result_of(cudaErrorSymbolNotFound) : cudaSuccess;
}
cudaError_t cudaLibraryUnload(cudaLibrary_t handle) {
  const Call call;
  const std::unique_ptr<Library> library(reinterpret_cast<Library*>(handle));
  for (int device = 0; device < device_count(); ++device) execute_device(device);
  dlclose(library->opened);
  close(library->file);
  return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t, cudaStream_t stream) {
  const Call call;
  if (grid.y * grid.z * block.z != 1) return result_of(cudaErrorNotSupported);
  return result_of(enqueue_kernel(*static_cast<const EmulatedKernel*>(kernel), arguments[0], grid.x, block.x, block.y, stream));
}

}  // extern "C"
