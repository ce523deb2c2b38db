// Streams, events, page-locked memory and graphs.
#include "device/cuda/stream.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "device/cuda/check.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {
namespace {

// An event of the GPU that is current at construction. An event that was never recorded counts as complete.
class Event {
 public:
  explicit Event(unsigned flags = cudaEventDisableTiming) {
    check(cudaEventCreateWithFlags(&event_, flags), "creating an event");
  }
  ~Event() {
    if (event_ != nullptr) ignore_result(cudaEventDestroy(event_));
  }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t get() const { return event_; }
  // In a stream capture, each launch of the graph records the event.
  void record(cudaStream_t stream) const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check(cudaStreamIsCapturing(stream, &status), "reading the state of a stream");
    const unsigned flags = status == cudaStreamCaptureStatusActive ? cudaEventRecordExternal : cudaEventRecordDefault;
    check(cudaEventRecordWithFlags(event_, stream, flags), "recording an event");
  }

 private:
  cudaEvent_t event_ = nullptr;
};

class StreamReadback : public Readback {
 public:
  StreamReadback(Context& context, size_t count) : context_(context), count_(count) {
    if (context.planned() || count == 0) return;
    check(cudaHostAlloc(reinterpret_cast<void**>(&values_), count * sizeof(float), cudaHostAllocDefault),
          "allocating page-locked memory");
    arrived_.emplace();
  }
  ~StreamReadback() override {
    if (values_ == nullptr) return;
    ignore_result(cudaStreamSynchronize(context_.stream()));
    ignore_result(cudaFreeHost(values_));
  }

  void start(std::span<const void* const> from) override {
    if (!arrived_) return;
    context_.make_current();
    const cudaStream_t stream = context_.stream();
    for (size_t first = 0, count = 0; first < from.size(); first += count) {
      count = neighbors(from.subspan(first));
      check(cudaMemcpyAsync(values_ + first, from[first], count * sizeof(float), cudaMemcpyDeviceToHost, stream),
            "copying values to the host");
    }
    arrived_->record(stream);
  }
  std::span<const float> wait() override {
    if (arrived_) context_.wait(arrived_->get());
    return {values_, count_};
  }

 private:
  // How many of the first floats follow each other in memory: they travel in one copy.
  static size_t neighbors(std::span<const void* const> from) {
    size_t count = 1;
    while (count < from.size() && from[count] == static_cast<const float*>(from[0]) + count) ++count;
    return count;
  }

  Context& context_;
  size_t count_;
  float* values_ = nullptr;
  std::optional<Event> arrived_;
};

class StreamEvent : public DeviceEvent {
 public:
  explicit StreamEvent(Context& context) : context_(context) {}
  void set() override { event_.record(context_.stream()); }
  const Event& event() const { return event_; }

 private:
  Context& context_;
  Event event_;
};

// Serializes NCCL launches with cudaHostAlloc/cudaFreeHost, which may synchronize all GPUs and would deadlock with a
// half-launched collective.
std::mutex collective_launch_mutex;

void check_nccl(ncclResult_t result, const char* doing) {
  if (result != ncclSuccess) throw device_error("NCCL, {}: {}", doing, nccl().error_text(result));
}

class NcclAllReduce : public AllReduce {
 public:
  explicit NcclAllReduce(std::vector<Context*> contexts) : contexts_(std::move(contexts)) {
    // One thread launches the collective on all GPUs. It would block in the first launch, which waits for the others.
    const char* const blocking = std::getenv("CUDA_LAUNCH_BLOCKING");
    if (blocking != nullptr && std::string_view(blocking) == "1")
      throw device_error(
          "with CUDA_LAUNCH_BLOCKING=1 several GPUs wait for each other forever: unset it, or train on one GPU");
    std::vector<int> ordinals;
    for (Context* context : contexts_) {
      ordinals.push_back(context->ordinal());
      context->make_current();
      int least = 0, greatest = 0;
      check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "reading stream priorities");
      streams_.emplace_back();
      check(cudaStreamCreateWithPriority(&streams_.back(), cudaStreamNonBlocking, greatest), "creating a stream");
      done_.emplace_back();
    }
    communicators_.resize(contexts_.size());
    check_nccl(nccl().init_all(communicators_.data(), static_cast<int>(ordinals.size()), ordinals.data()),
               "creating communicators");
    for (Context* context : contexts_) context->partners = contexts_;
  }
  ~NcclAllReduce() override {
    // If a GPU failed, the all-reduce of the others never ends: abort it.
    const bool failed = std::uncaught_exceptions() > 0;
    for (ncclComm_t communicator : communicators_) {
      if (failed && communicator != nullptr) nccl().abort(communicator);
    }
    for (const cudaStream_t stream : streams_) ignore_result(cudaStreamSynchronize(stream));
    for (ncclComm_t communicator : communicators_) {
      if (!failed && communicator != nullptr) nccl().destroy(communicator);
    }
    for (const cudaStream_t stream : streams_) ignore_result(cudaStreamDestroy(stream));
    for (Context* context : contexts_) context->partners.clear();
  }

  void start(std::span<DeviceEvent* const> events, std::span<float* const> data, int64_t count) override {
    for (size_t i = 0; i < contexts_.size(); ++i) {
      contexts_[i]->make_current();
      check(cudaStreamWaitEvent(streams_[i], static_cast<const StreamEvent*>(events[i])->event().get(), 0),
            "waiting for gradients");
    }
    const std::lock_guard<std::mutex> guard(collective_launch_mutex);
    check_nccl(nccl().group_start(), "summing gradients");
    ncclResult_t result = ncclSuccess;
    for (size_t i = 0; i < contexts_.size() && result == ncclSuccess; ++i)
      result = nccl().all_reduce(data[i], data[i], static_cast<size_t>(count), ncclFloat, ncclSum, communicators_[i],
                                 streams_[i]);
    const ncclResult_t ended = nccl().group_end();
    if (result != ncclSuccess || ended != ncclSuccess) contexts_[0]->check_partners();  // their errors say more
    check_nccl(result == ncclSuccess ? ended : result, "summing gradients");
  }
  void finish() override {
    for (size_t i = 0; i < contexts_.size(); ++i) {
      contexts_[i]->make_current();
      done_[i].record(streams_[i]);
      check(cudaStreamWaitEvent(contexts_[i]->stream(), done_[i].get(), 0), "waiting for sums");
    }
  }

 private:
  std::vector<Context*> contexts_;
  std::vector<cudaStream_t> streams_;
  std::vector<Event> done_;
  std::vector<ncclComm_t> communicators_;
};

class StreamUploads : public Uploads {
 public:
  StreamUploads(Device& device, Context& context) : device_(device), context_(context) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  }
  ~StreamUploads() override {
    ignore_result(cudaStreamSynchronize(stream_));
    ignore_result(cudaStreamSynchronize(context_.stream()));
    for (StagingSlot& slot : slots_) {
      for (Memory& memory : slot.memory) release(memory);
    }
    ignore_result(cudaStreamDestroy(stream_));
  }

  void start(std::span<Buffer> buffers) override {
    context_.make_current();
    // All kernels that read the last batch are queued.
    slots_[last_].used.record(context_.stream());
    last_ = 1 - last_;
    StagingSlot& slot = slots_[last_];
    check(cudaStreamWaitEvent(stream_, slot.used.get(), 0), "waiting for kernels");
    slot.memory.resize(std::max(slot.memory.size(), buffers.size()));
    for (size_t i = 0; i < buffers.size(); ++i) {
      Buffer& buffer = buffers[i];
      reserve(slot.memory[i], buffer.bytes);
      buffer.device = slot.memory[i].data;
      check(cudaMemcpyAsync(buffer.device, buffer.host, static_cast<size_t>(buffer.bytes), cudaMemcpyHostToDevice,
                            stream_),
            "copying a batch to the GPU");
    }
    slot.arrived.record(stream_);
    check(cudaStreamWaitEvent(context_.stream(), slot.arrived.get(), 0), "waiting for a batch");
  }
  void wait() override { context_.wait(slots_[last_].arrived.get()); }

 private:
  struct Memory {
    void* data = nullptr;
    int64_t capacity = 0;
  };
  // Device memory for one batch.
  struct StagingSlot {
    std::vector<Memory> memory;
    Event used, arrived;
  };

  // Batches of images can grow.
  void reserve(Memory& memory, int64_t bytes) {
    if (bytes <= memory.capacity) return;
    release(memory);
    memory.data = device_.allocate(bytes);
    memory.capacity = bytes;
    device_.synchronize();  // allocate() clears the memory in stream order
  }
  void release(Memory& memory) {
    if (memory.data != nullptr) device_.release(memory.data, memory.capacity);
    memory = {};
  }

  Device& device_;
  Context& context_;
  cudaStream_t stream_ = nullptr;
  std::array<StagingSlot, 2> slots_;
  size_t last_ = 0;
};

class StreamTimer : public StepTimer {
 public:
  explicit StreamTimer(Context& context) : context_(context) {}

  void mark() override {
    if (marks_ == events_.size()) events_.emplace_back(cudaEventDefault);
    events_[marks_++].record(context_.stream());
  }
  std::vector<double> read() override {
    std::vector<double> seconds;
    if (marks_ > 0) context_.wait(events_[marks_ - 1].get());
    for (size_t i = 1; i < marks_; ++i) {
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, events_[i - 1].get(), events_[i].get()), "timing");
      seconds.push_back(static_cast<double>(milliseconds) * 1e-3);
    }
    marks_ = 0;
    return seconds;
  }

 private:
  Context& context_;
  std::vector<Event> events_;
  size_t marks_ = 0;
};

class CapturedGraph : public CapturedPass {
 public:
  CapturedGraph(Context& context, cudaGraphExec_t graph) : context_(context), graph_(graph) {}
  ~CapturedGraph() override {
    ignore_result(cudaStreamSynchronize(context_.stream()));
    ignore_result(cudaGraphExecDestroy(graph_));
  }
  void run() override { check(cudaGraphLaunch(graph_, context_.stream()), "launching a captured pass"); }

 private:
  Context& context_;
  cudaGraphExec_t graph_;
};

// If no more memory can be page-locked, plain memory is used, which is slower to copy.
class PageLockedMemory : public HostMemory {
 public:
  explicit PageLockedMemory(Context& context) : context_(context) {}

  void* allocate(int64_t bytes) override {
    context_.make_current();
    void* memory = nullptr;
    const std::lock_guard<std::mutex> guard(collective_launch_mutex);
    if (!succeeds(cudaHostAlloc(&memory, static_cast<size_t>(bytes), cudaHostAllocPortable)))
      return HostMemory::allocate(bytes);
    locked_.insert(memory);
    return memory;
  }
  void release(void* memory) override {
    if (memory == nullptr) return;
    const std::lock_guard<std::mutex> guard(collective_launch_mutex);
    if (locked_.erase(memory) == 0) return HostMemory::release(memory);
    ignore_result(cudaSetDevice(context_.ordinal()));
    ignore_result(cudaFreeHost(memory));
  }

 private:
  Context& context_;
  std::set<void*> locked_;
};

}  // namespace

std::unique_ptr<Readback> make_readback(Context& context, size_t count) {
  return std::make_unique<StreamReadback>(context, count);
}
std::unique_ptr<Uploads> make_uploads(Device& device, Context& context) {
  return std::make_unique<StreamUploads>(device, context);
}
std::unique_ptr<DeviceEvent> make_event(Context& context) { return std::make_unique<StreamEvent>(context); }
std::unique_ptr<AllReduce> make_all_reduce(std::vector<Context*> contexts) {
  return std::make_unique<NcclAllReduce>(std::move(contexts));
}
std::unique_ptr<StepTimer> make_step_timer(Context& context) { return std::make_unique<StreamTimer>(context); }
double seconds_of(Context& context, const std::function<void()>& queue) {
  StreamTimer timer(context);
  timer.mark();
  queue();
  timer.mark();
  return timer.read().front();
}
std::unique_ptr<HostMemory> make_page_locked_memory(Context& context) {
  return std::make_unique<PageLockedMemory>(context);
}

std::unique_ptr<CapturedPass> capture(Context& context, const std::function<void()>& queue) {
  const cudaStream_t stream = context.stream();
  // Other threads may allocate page-locked memory during the capture.
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing a pass");
  bool queued = true;
  try {
    queue();
  } catch (...) {
    queued = false;
  }
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  queued = succeeds(cudaStreamEndCapture(stream, &graph)) && queued;
  queued = queued && succeeds(cudaGraphInstantiate(&executable, graph, 0));
  // The upload allocates memory of the GPU.
  const bool ready = queued && succeeds(cudaGraphUpload(executable, stream));
  if (queued && !ready) ignore_result(cudaGraphExecDestroy(executable));
  if (graph != nullptr) ignore_result(cudaGraphDestroy(graph));
  return ready ? std::make_unique<CapturedGraph>(context, executable) : nullptr;
}

}  // namespace trainer::cuda
