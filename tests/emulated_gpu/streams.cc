// Queues, captures and the replay of graphs.
#include "streams.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "device_memory.h"

namespace emulator {
namespace {

std::vector<std::weak_ptr<Capture>>& captures() {
  static auto* all = new std::vector<std::weak_ptr<Capture>>;
  return *all;
}

void join(std::map<int, size_t>* known, const std::map<int, size_t>& others) {
  for (const auto& [branch, steps] : others) (*known)[branch] = std::max((*known)[branch], steps);
}

void add_branch(const std::shared_ptr<Capture>& capture, const std::shared_ptr<Stream>& stream) {
  stream->capture = capture;
  stream->branch = capture->graph.branches++;
  capture->streams.push_back(stream);
  capture->known.emplace_back();
  capture->steps.push_back(0);
  capture->last_work.push_back(0);
}

cudaError_t add_step(Stream& stream, Work work) {
  Capture& capture = *stream.capture;
  if (capture.invalid) return cudaErrorStreamCaptureInvalidated;
  const size_t branch = static_cast<size_t>(stream.branch);
  capture.known[branch][stream.branch] = ++capture.steps[branch];
  if (work.run) capture.last_work[branch] = capture.steps[branch];
  if (work.waits_for != nullptr) join(&capture.known[branch], work.waits_for->known);
  if (work.reaches != nullptr) work.reaches->known = capture.known[branch];
  capture.graph.steps.push_back({stream.branch, std::move(work)});
  return cudaSuccess;
}

std::shared_ptr<Record> new_record(const std::shared_ptr<Stream>& stream) {
  auto made = std::make_shared<Record>();
  made->stream = stream;
  return made;
}

Work reaching(std::shared_ptr<Record> record) {
  Work work;
  work.name = "record";
  work.reaches = std::move(record);
  return work;
}
Work waiting(std::shared_ptr<Record> record) {
  Work work;
  work.name = "wait";
  work.waits_for = std::move(record);
  return work;
}

uint32_t failed = 0, given_up = 0;  // one bit per device
bool waits_outside = false;         // the last work that could not run waits for another process

// Marks a device as failed if this is the work at which it fails.
void fail_at(const Work& work) {
  static int met = 0;
  int device = 0, count = 0;
  char name[100];
  const char* const fault = std::getenv("EMULATED_GPU_FAULT");
  if (fault == nullptr || std::sscanf(fault, "%d:%d:%99[^\n]", &device, &count, name) != 3) return;
  const uint32_t bit = uint32_t{1} << device;
  if (work.name == name && (work.devices & bit) != 0 && ++met == count) failed |= bit;
}

}  // namespace

bool is_eager() {
  const char* order = std::getenv("EMULATED_GPU_ORDER");
  return order != nullptr && std::strcmp(order, "eager") == 0;
}

std::set<std::shared_ptr<Stream>>& streams() {
  static auto* all = new std::set<std::shared_ptr<Stream>>;
  return *all;
}

bool has_failed(int device) { return (failed >> device & 1) != 0; }
void give_up_failed() { given_up = failed; }

cudaError_t enqueue(const std::shared_ptr<Stream>& stream, Work work) {
  if (has_failed(stream->device)) return cudaErrorIllegalAddress;
  if (work.run) ++queued_work;
  if (stream->capture != nullptr) return add_step(*stream, std::move(work));
  stream->queue.push_back(std::move(work));
  if (is_eager()) execute(*stream);
  return cudaSuccess;
}

void execute(Stream& stream, const Record* until) {
  while (!stream.queue.empty() && (until == nullptr || !until->done)) {
    const std::shared_ptr<Record> awaited = stream.queue.front().waits_for;
    if (awaited != nullptr && !awaited->done) {
      execute(*awaited->stream, awaited.get());
      if (!awaited->done && (given_up >> awaited->stream->device & 1) == 0) return;
    }
    fail_at(stream.queue.front());
    if (has_failed(stream.device) || (stream.queue.front().devices & failed & ~given_up) != 0) return;
    if (const auto& ready = stream.queue.front().ready; ready && !ready()) {
      waits_outside = true;
      return;
    }
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    if (work.run && (work.devices & failed) == 0) {
      open_memory(work.devices, work.name.c_str());
      const char* slow = std::getenv("EMULATED_GPU_SLOW");
      if (slow != nullptr && work.name == slow) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      work.run();
      open_memory(work.devices, nullptr);
    }
    if (work.reaches == nullptr) continue;
    work.reaches->done = true;
    work.reaches->time = std::chrono::steady_clock::now();
  }
}

void execute_device(int device) {
  const auto all = streams();
  for (const auto& stream : all) {
    if (stream->device == device) execute(*stream);
  }
}

cudaError_t synchronize(Stream& stream, const Record* until) {
  if (until != nullptr && until->done) return cudaSuccess;
  do {
    if (std::exchange(waits_outside, false)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    execute(stream, until);
    if (has_failed(stream.device)) return cudaErrorIllegalAddress;
    if (until == nullptr ? stream.queue.empty() : until->done) return cudaSuccess;
  } while (waits_outside);
  std::fprintf(stderr, "emulated GPU: a thread waits forever for stream %d, whose work waits for a GPU that failed\n",
               stream.number);
  std::abort();
}

cudaError_t record(const std::shared_ptr<Event>& event, const std::shared_ptr<Stream>& stream, bool external) {
  if (external && stream->capture == nullptr) return cudaErrorIllegalState;
  if (external) {
    Work work;
    work.name = "record";
    work.outside = event;
    return add_step(*stream, std::move(work));
  }
  event->record = new_record(stream);
  if (stream->capture != nullptr) {
    event->record->captured = true;
    event->record->capture = stream->capture;
  }
  return enqueue(stream, reaching(event->record));
}

cudaError_t wait_for(const std::shared_ptr<Event>& event, const std::shared_ptr<Stream>& stream, bool external) {
  const std::shared_ptr<Record>& record = event->record;
  if (external) {
    if (stream->capture == nullptr) return cudaErrorIllegalState;
    Work work;
    work.name = "wait";
    work.outside = event;
    return add_step(*stream, std::move(work));
  }
  if (record == nullptr) return cudaSuccess;
  if (!record->captured) {
    if (stream->capture == nullptr) return enqueue(stream, waiting(record));
    stream->capture->invalid = true;
    return cudaErrorStreamCaptureIsolation;
  }
  const std::shared_ptr<Capture> capture = record->capture.lock();
  if (capture == nullptr) return cudaErrorCapturedEvent;
  if (stream->capture == nullptr) add_branch(capture, stream);
  if (stream->capture != capture) {
    stream->capture->invalid = capture->invalid = true;
    return cudaErrorStreamCaptureMerge;
  }
  return add_step(*stream, waiting(record));
}

cudaError_t begin_capture(const std::shared_ptr<Stream>& stream, cudaStreamCaptureMode mode) {
  if (stream->capture != nullptr) return cudaErrorIllegalState;
  auto capture = std::make_shared<Capture>();
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  add_branch(capture, stream);
  captures().push_back(capture);
  return cudaSuccess;
}

cudaError_t end_capture(const std::shared_ptr<Stream>& stream, Graph* graph) {
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture == nullptr) return cudaErrorIllegalState;
  if (stream->branch != 0) {
    capture->invalid = true;
    return cudaErrorStreamCaptureUnmatched;
  }
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id()) {
    capture->invalid = true;
    return cudaErrorStreamCaptureWrongThread;
  }
  bool joined = true;
  for (int branch = 1; branch < capture->graph.branches; ++branch)
    joined = joined && capture->known[0][branch] >= capture->last_work[static_cast<size_t>(branch)];
  for (const auto& other : capture->streams) other->capture = nullptr;
  if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
  if (!joined) return cudaErrorStreamCaptureUnjoined;
  *graph = std::move(capture->graph);
  return cudaSuccess;
}

cudaError_t unsafe_call(int device) {
  cudaError_t result = cudaSuccess;
  for (const auto& weak : captures()) {
    const std::shared_ptr<Capture> capture = weak.lock();
    if (capture == nullptr || capture->streams[0]->capture != capture) continue;
    const bool on_device = std::any_of(capture->streams.begin(), capture->streams.end(),
                                       [device](const auto& stream) { return stream->device == device; });
    const bool own = capture->thread == std::this_thread::get_id();
    const bool forbidden =
        capture->mode == cudaStreamCaptureModeGlobal || (own && capture->mode == cudaStreamCaptureModeThreadLocal);
    if (!forbidden && !on_device) continue;
    capture->invalid = true;
    result = cudaErrorStreamCaptureUnsupported;
  }
  return result;
}

// Replays the captured calls with a new stream for each branch and with new records.
cudaError_t launch(const Graph& graph, const std::shared_ptr<Stream>& stream) {
  std::vector<std::shared_ptr<Stream>> branches = {stream};
  while (branches.size() < static_cast<size_t>(graph.branches)) {
    branches.push_back(std::make_shared<Stream>());
    branches.back()->number = -1;
    branches.back()->device = stream->device;
  }
  std::map<Record*, std::shared_ptr<Record>> records;
  for (const Graph::Step& step : graph.steps) {
    const std::shared_ptr<Stream>& branch = branches[static_cast<size_t>(step.branch)];
    Work work = step.work;
    if (work.reaches != nullptr) work.reaches = records[work.reaches.get()] = new_record(branch);
    if (work.waits_for != nullptr) work.waits_for = records.at(work.waits_for.get());
    if (const std::shared_ptr<Event> event = work.outside.lock()) {
      if (work.name == "record") work.reaches = event->record = new_record(branch);
      if (work.name == "wait") work.waits_for = event->record;
    }
    if (const cudaError_t result = enqueue(branch, std::move(work)); result != cudaSuccess) return result;
  }
  return cudaSuccess;
}

}  // namespace emulator
