// Kernels, streams, events, graphs and libraries of the emulated runtime.
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "calls.h"
#include "cuda_emulator.h"
#include "emulated_runtime.h"

using namespace emulator;

namespace {

struct Library {
  int file = -1;  // open as long as the library, because names of open libraries must differ
  void* opened = nullptr;
};

cudaError_t enqueue_kernel(const EmulatedKernel& kernel, const void* argument, unsigned blocks, unsigned x, unsigned y,
                           cudaStream_t handle) {
  const auto stream = find(handle);
  if (stream == nullptr || stream->device != current_device) return cudaErrorInvalidResourceHandle;
  if (blocks == 0 || x * y == 0 || x * y > 1024) return cudaErrorInvalidConfiguration;
  const std::string name(kernel.name, std::strcspn(kernel.name, ",("));
  require_no_error(name.c_str());
  for (size_t at = 0; at + 8 <= kernel.argument_bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, static_cast<const char*>(argument) + at, sizeof word);
    if (!is_host_address(word)) continue;
    std::fprintf(stderr,
                 "emulated GPU: kernel %s is given an address of the host, 0x%llx, %zu bytes into its arguments\n",
                 name.c_str(), static_cast<unsigned long long>(word), at);
    std::abort();
  }
  // A GPU loads a kernel at its first launch, which may wait for the device or allocate memory.
  static std::set<void (*)()> loaded;
  if (stream->capture == nullptr) {
    loaded.insert(kernel.function);
  } else if (loaded.count(kernel.function) == 0) {
    std::fprintf(stderr, "emulated GPU: kernel %s is captured before it was ever launched: its code is not loaded\n",
                 name.c_str());
    std::abort();
  }
  log("launch %s stream=%d blocks=%u threads=%u%s\n", name.c_str(), stream->number, blocks, x * y, captured(*stream));
  const std::vector<char> copy(static_cast<const char*>(argument),
                               static_cast<const char*>(argument) + kernel.argument_bytes);
  Work work;
  work.name = "kernel " + name;
  work.devices = uint32_t{1} << stream->device;
  work.run = [kernel, name, copy, blocks, x, y] {
    EmulatedKernel named = kernel;
    named.name = name.c_str();
    emulate(named, copy.data(), blocks, x, y);
  };
  return enqueue(stream, std::move(work));
}

// The query after this one finds the work done.
cudaError_t query(Stream& stream, const Record* until) {
  if (!has_failed(stream.device) && (until == nullptr ? stream.queue.empty() : until->done)) return cudaSuccess;
  execute(stream, until);
  return has_failed(stream.device) ? cudaErrorIllegalAddress : cudaErrorNotReady;
}

// The result of `do_there` for the record of an event, if there is one.
template <typename DoThere>
cudaError_t at_record_of(cudaEvent_t handle, DoThere do_there) {
  const auto event = find(handle);
  if (event == nullptr) return cudaErrorInvalidResourceHandle;
  if (event->record == nullptr) return cudaSuccess;
  if (event->record->captured) return cudaErrorCapturedEvent;
  return do_there(*event->record->stream, event->record.get());
}

cudaError_t create_stream(cudaStream_t* handle, unsigned flags) {
  static int next = 1;
  if (flags != cudaStreamNonBlocking) return cudaErrorNotSupported;
  const auto stream = std::make_shared<Stream>();
  stream->number = next++;
  stream->device = current_device;
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

}  // namespace

cudaError_t emulated_enqueue(cudaStream_t handle, const char* name, std::function<void()> run) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr || stream->device != current_device) return cudaErrorInvalidResourceHandle;
  require_no_error(name);
  log("launch %s stream=%d%s\n", name, stream->number, captured(*stream));
  Work work;
  work.name = name;
  work.devices = uint32_t{1} << stream->device;
  work.run = std::move(run);
  return enqueue(stream, std::move(work));
}

long long emulated_queued() {
  const Call call;
  return queued_work;
}

void emulated_give_up_failed() {
  const Call call;
  give_up_failed();
}

cudaError_t emulated_enqueue_together(const std::vector<std::pair<int, cudaStream_t>>& handles, const char* name,
                                      std::function<void()> run, std::function<bool()> ready) {
  const Call call;
  Work work;
  work.name = name;
  work.run = std::move(run);
  work.ready = std::move(ready);
  std::vector<std::shared_ptr<Stream>> all;
  for (const auto& [device, handle] : handles) {
    all.push_back(find(handle));
    if (all.back() == nullptr || all.back()->device != device) return cudaErrorInvalidResourceHandle;
    if (all.back()->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
    work.devices |= uint32_t{1} << device;
  }
  cudaError_t result = cudaSuccess;
  const auto keep = [&result](cudaError_t error) { result = result == cudaSuccess ? error : result; };
  const auto put_before = [&keep](const std::shared_ptr<Stream>& stream, const std::shared_ptr<Stream>& other) {
    const auto event = std::make_shared<Event>();
    keep(record(event, stream, false));
    keep(wait_for(event, other, false));
  };
  for (const auto& stream : all) log("launch %s stream=%d\n", name, stream->number);
  for (size_t i = 1; i < all.size(); ++i) put_before(all[i], all[0]);
  keep(enqueue(all[0], std::move(work)));
  for (size_t i = 1; i < all.size(); ++i) put_before(all[0], all[i]);
  return result;
}

extern "C" {

cudaError_t emulated_launch(const EmulatedKernel& kernel, const void* argument, unsigned blocks, unsigned x, unsigned y,
                            cudaStream_t stream) {
  const Call call;
  return result_of(enqueue_kernel(kernel, argument, blocks, x, y, stream));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const Call call;
  return result_of(create_stream(stream, flags));
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
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
  return result_of(synchronize(*stream));
}
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  return result_of(query(*stream, nullptr));
}
cudaError_t cudaStreamGetDevice(cudaStream_t handle, int* device) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  *device = stream->device;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream_handle, cudaEvent_t handle, unsigned flags) {
  const Call call;
  const auto event = find(handle);
  const auto stream = find(stream_handle);
  if (event == nullptr || stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  log("wait stream=%d%s\n", stream->number, captured(*stream));
  return result_of(wait_for(event, stream, (flags & cudaEventWaitExternal) != 0));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const Call call;
  return create_event(event, flags);
}
cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  const Call call;
  return events().erase(find(handle)) == 1 ? cudaSuccess : result_of(cudaErrorInvalidResourceHandle);
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  const Call call;
  return result_of(record_event(event, stream, (flags & cudaEventRecordExternal) != 0));
}
cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  const Call call;
  return result_of(at_record_of(handle, [](Stream& stream, const Record* record) {
    const cudaError_t result = synchronize(stream, record);
    log("sync event stream=%d: %zu left\n", stream.number, stream.queue.size());
    return result;
  }));
}
cudaError_t cudaEventQuery(cudaEvent_t handle) {
  const Call call;
  return result_of(at_record_of(handle, query));
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
cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  const Call call;
  const auto stream = find(handle);
  if (stream == nullptr) return result_of(cudaErrorInvalidResourceHandle);
  *status = stream->capture == nullptr ? cudaStreamCaptureStatusNone
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
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t handle) {
  const Call call;
  return result_of(find(handle) == nullptr ? cudaErrorInvalidResourceHandle : cudaSuccess);
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

// The code is an ELF file from nvrtc.cc; its header contains its length.
cudaError_t cudaLibraryLoadData(cudaLibrary_t* handle, const void* code, cudaJitOption*, void**, unsigned,
                                cudaLibraryOption*, void**, unsigned) {
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
  *kernel = reinterpret_cast<cudaKernel_t>(
      dlsym(reinterpret_cast<Library*>(library)->opened, (std::string("kernel_") + name).c_str()));
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
  return result_of(
      enqueue_kernel(*static_cast<const EmulatedKernel*>(kernel), arguments[0], grid.x, block.x, block.y, stream));
}

}  // extern "C"
