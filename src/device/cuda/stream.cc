// Streams, events, page-locked memory and graphs.
#include "device/cuda/stream.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/error.h"
#include "device/cuda/check.h"
#include "device/cuda/kernels/round.h"
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

std::string nccl_error(ncclResult_t result, const char* doing) {
  const char* const detail = nccl().last_error_text(nullptr);
  return fmt::format("NCCL, {}: {}{}", doing, nccl().error_text(result),
                     detail == nullptr || *detail == '\0' ? "" : fmt::format(" ({})", detail));
}
void check_nccl(ncclResult_t result, const char* doing) {
  if (result != ncclSuccess) throw device_error("{}", nccl_error(result, doing));
}
// Whether a result can come from a process that is gone.
bool may_be_of_peer(ncclResult_t result) {
  return result == ncclRemoteError || result == ncclSystemError || result == ncclInternalError;
}

// With several processes, the communicators do not block: a call may end with ncclInProgress and go on in the
// background. All waits look for losses; then the communicators are aborted, which ends the kernels of NCCL.
class NcclAllReduce : public AllReduce {
 public:
  NcclAllReduce(std::vector<Context*> contexts, const AllReduceLink* link)
      : contexts_(std::move(contexts)), rounded_(contexts_.size()), communicators_(contexts_.size()) {
    if (link != nullptr) link_ = *link;
    // One thread launches the collective on all GPUs. It would block in the first launch, which waits for the others.
    const char* const blocking = std::getenv("CUDA_LAUNCH_BLOCKING");
    if (blocking != nullptr && std::string_view(blocking) == "1")
      throw device_error(
          "with CUDA_LAUNCH_BLOCKING=1 several GPUs wait for each other forever: unset it, or train on one GPU");
    for (Context* context : contexts_) {
      context->make_current();
      int least = 0, greatest = 0;
      check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "reading stream priorities");
      streams_.emplace_back();
      check(cudaStreamCreateWithPriority(&streams_.back(), cudaStreamNonBlocking, greatest), "creating a stream");
      done_.emplace_back();
      computed_.emplace_back();
    }
    try {
      link_ ? join_processes() : join_gpus();
    } catch (...) {
      abort();
      throw;
    }
    for (Context* context : contexts_) context->partners = contexts_;
  }
  ~NcclAllReduce() override {
    // If a GPU failed, the all-reduce of the others never ends: abort it. Nor does the end of a communicator wait for
    // other processes, which may be gone: all sums are done.
    if (link_ || std::uncaught_exceptions() > 0) abort();
    for (const cudaStream_t stream : streams_) ignore_result(cudaStreamSynchronize(stream));
    for (ncclComm_t communicator : communicators_) {
      if (communicator != nullptr) nccl().destroy(communicator);
    }
    for (const cudaStream_t stream : streams_) ignore_result(cudaStreamDestroy(stream));
    for (size_t i = 0; i < contexts_.size(); ++i) {
      ignore_result(cudaSetDevice(contexts_[i]->ordinal()));
      ignore_result(cudaFree(rounded_[i]));
    }
    for (Context* context : contexts_) context->partners.clear();
  }

  void reserve(int64_t count) override {
    if (!link_ || !link_->rounds || count <= reserved_) return;
    for (size_t i = 0; i < contexts_.size(); ++i) {
      contexts_[i]->make_current();
      ignore_result(cudaFree(std::exchange(rounded_[i], nullptr)));
      const auto bytes = std::max(count * int64_t{sizeof(uint16_t)}, int64_t{sizeof(float)});
      if (!succeeds(cudaMalloc(&rounded_[i], static_cast<size_t>(bytes)))) {
        size_t free = 0, total = 0;
        ignore_result(cudaMemGetInfo(&free, &total));
        throw OutOfMemory::make(fmt::format("GPU {}", contexts_[i]->ordinal()), bytes, static_cast<int64_t>(free));
      }
      // The first launch of a kernel may wait for the device: this is before the first exchange.
      convert(i, launch_round, rounded_[i], rounded_[i], 1);
      convert(i, launch_widen, rounded_[i], rounded_[i], 1);
      check(cudaStreamSynchronize(streams_[i]), "rounding numbers");
    }
    reserved_ = count;
  }
  void start(std::span<DeviceEvent* const> events, std::span<float* const> data, int64_t count) override {
    if (aborted_) throw ExchangeFailed("an earlier exchange failed");
    for (size_t i = 0; i < contexts_.size(); ++i) {
      contexts_[i]->make_current();
      check(cudaStreamWaitEvent(streams_[i], static_cast<const StreamEvent*>(events[i])->event().get(), 0),
            "waiting for gradients");
    }
    const bool rounds = link_ && link_->rounds;
    TRAINER_ASSERT(!rounds || count <= reserved_);
    for (size_t i = 0; i < contexts_.size() && rounds; ++i) convert(i, launch_round, data[i], rounded_[i], count);
    {
      const std::lock_guard<std::mutex> guard(collective_launch_mutex);
      call_together("summing gradients", [&](size_t i) {
        void* const numbers = rounds ? rounded_[i] : data[i];
        return nccl().all_reduce(numbers, numbers, static_cast<size_t>(count), rounds ? ncclBfloat16 : ncclFloat,
                                 ncclSum, communicators_[i], streams_[i]);
      });
    }
    for (size_t i = 0; i < contexts_.size() && rounds; ++i) convert(i, launch_widen, rounded_[i], data[i], count);
  }
  void finish() override {
    for (size_t i = 0; i < contexts_.size(); ++i) {
      contexts_[i]->make_current();
      if (link_) computed_[i].record(contexts_[i]->stream());
      done_[i].record(streams_[i]);
      check(cudaStreamWaitEvent(contexts_[i]->stream(), done_[i].get(), 0), "waiting for sums");
    }
    if (!link_) return;
    await(computed_);
    computed_at_ = std::chrono::steady_clock::now();
    await(done_);
  }
  std::optional<std::chrono::steady_clock::time_point> computed() const override { return computed_at_; }

 private:
  void join_gpus() {
    std::vector<int> ordinals;
    for (const Context* context : contexts_) ordinals.push_back(context->ordinal());
    check_nccl(nccl().init_all(communicators_.data(), static_cast<int>(ordinals.size()), ordinals.data()),
               "creating communicators");
  }
  void join_processes() {
    ncclUniqueId id = {};
    if (link_->first == 0) check_nccl(nccl().get_unique_id(&id), "creating an identifier");
    const std::string shared = link_->share({id.internal, sizeof id.internal});
    TRAINER_ASSERT(shared.size() == sizeof id.internal);
    std::copy(shared.begin(), shared.end(), id.internal);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    call_together("connecting the GPUs of all processes", [&](size_t i) {
      contexts_[i]->make_current();
      return nccl().init_rank(&communicators_[i], link_->all, id, link_->first + static_cast<int>(i), &config);
    });
  }

  // Calls `call` for each GPU, and waits until NCCL has done the calls.
  template <typename Call>
  void call_together(const char* doing, const Call& call) {
    check_nccl(nccl().group_start(), doing);
    ncclResult_t result = ncclSuccess;
    for (size_t i = 0; i < contexts_.size() && (result == ncclSuccess || result == ncclInProgress); ++i)
      result = call(i);
    const ncclResult_t ended = nccl().group_end();
    if (result == ncclSuccess || result == ncclInProgress) result = ended;
    while (result == ncclInProgress) {
      result = state();
      if (result != ncclInProgress) break;
      require_no_loss();
      std::this_thread::sleep_for(kBetweenPolls);
    }
    if (result != ncclSuccess) contexts_[0]->check_partners();  // their errors say more
    require(result, doing);
  }

  using Launch = cudaError_t(const RoundArguments& arguments, cudaStream_t stream);
  void convert(size_t i, Launch* launch, const void* from, void* to, int64_t count) {
    contexts_[i]->make_current();
    check(launch({from, to, count}, streams_[i]), "rounding numbers");
  }

  // The first error of the communicators; else ncclInProgress if one of them is not ready.
  ncclResult_t state() const {
    ncclResult_t all = ncclSuccess;
    for (ncclComm_t communicator : communicators_) {
      ncclResult_t one = ncclSuccess;
      const ncclResult_t read = nccl().get_async_error(communicator, &one);
      if (read != ncclSuccess) return read;
      if (one != ncclSuccess && one != ncclInProgress) return one;
      if (one == ncclInProgress) all = one;
    }
    return all;
  }

  void require(ncclResult_t result, const char* doing) {
    if (!link_ || !may_be_of_peer(result)) return check_nccl(result, doing);
    const std::string error = nccl_error(result, doing);
    abort();
    throw ExchangeFailed(error);
  }
  void require_no_loss() {
    if (!link_ || !link_->is_lost()) return;
    abort();
    throw ExchangeFailed("another process is lost");
  }
  void await(const std::vector<Event>& events) {
    constexpr const char* kDoing = "waiting for the sums of other processes";
    for (size_t i = 0; i < events.size(); ++i) {
      contexts_[i]->make_current();
      contexts_[i]->wait(events[i].get(), [this] {
        require_no_loss();
        if (const ncclResult_t result = state(); result != ncclInProgress) require(result, kDoing);
      });
    }
  }

  // Ends the kernels of NCCL, and frees what NCCL has.
  void abort() noexcept {
    aborted_ = true;
    for (size_t i = 0; i < communicators_.size(); ++i) {
      ignore_result(cudaSetDevice(contexts_[i]->ordinal()));
      if (ncclComm_t communicator = std::exchange(communicators_[i], nullptr)) nccl().abort(communicator);
    }
  }

  static constexpr std::chrono::microseconds kBetweenPolls{20};
  std::vector<Context*> contexts_;
  std::optional<AllReduceLink> link_;
  std::vector<cudaStream_t> streams_;
  std::vector<Event> done_, computed_;
  std::optional<std::chrono::steady_clock::time_point> computed_at_;
  std::vector<void*> rounded_;  // of each GPU: the numbers as they travel
  int64_t reserved_ = 0;        // so many
  std::vector<ncclComm_t> communicators_;
  bool aborted_ = false;
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
std::unique_ptr<AllReduce> make_all_reduce(std::vector<Context*> contexts, const AllReduceLink* link) {
  return std::make_unique<NcclAllReduce>(std::move(contexts), link);
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
