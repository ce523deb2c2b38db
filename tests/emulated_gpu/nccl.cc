// NCCL's all-reduce on the CPU, for the GPUs of one process. It runs when the streams of all ranks have reached it.
// Deadlocks and data races end the process with a message.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "emulated_runtime.h"

namespace {

struct Rank;

// The part of one rank in an all-reduce.
struct Part {
  size_t count;
  const float* send;
  float* receive;
  cudaStream_t stream;
  Rank* rank;

  size_t bytes() const { return count * sizeof(float); }
};

struct Rank {
  std::shared_ptr<std::vector<Rank*>> all;  // nullptr: destroyed
  int number, device;
  std::thread::id thread;  // of the last call
  std::deque<Part> parts;  // that wait for the parts of other ranks
};

// The time that a thread waits for the calls of other threads.
constexpr std::chrono::seconds kPatience(60);

std::mutex mutex;
std::condition_variable joined;
std::set<Rank*> ranks;

thread_local int depth = 0;
thread_local std::vector<Part> group;
thread_local ncclResult_t group_error = ncclSuccess;

[[noreturn]] __attribute__((format(printf, 1, 2))) void die(const char* format, ...) {
  va_list values;
  va_start(values, format);
  std::fprintf(stderr, "emulated NCCL: ");
  std::vfprintf(stderr, format, values);
  std::fprintf(stderr, "\n");
  std::abort();
}

ncclResult_t refuse(ncclResult_t result, const char* reason) {
  std::fprintf(stderr, "emulated NCCL: %s\n", reason);
  if (depth > 0 && group_error == ncclSuccess) group_error = result;
  return result;
}

bool overlap(const float* a, size_t a_count, const float* b, size_t b_count) {
  return a < b + b_count && b < a + a_count;
}

// Sums in the order of the ranks. Reads all inputs before it writes.
void run(const std::vector<Part>& parts) {
  std::vector<float> sums(parts[0].send, parts[0].send + parts[0].count);
  for (size_t rank = 1; rank < parts.size(); ++rank) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += parts[rank].send[i];
  }
  for (const Part& part : parts) std::copy(sums.begin(), sums.end(), part.receive);
}

// Queues the all-reduces that all ranks have joined; false if a GPU has failed.
bool launch(const std::vector<Rank*>& all) {
  while (
      std::all_of(all.begin(), all.end(), [](const Rank* rank) { return rank != nullptr && !rank->parts.empty(); })) {
    std::vector<Part> parts;
    std::vector<std::pair<int, cudaStream_t>> streams;
    for (Rank* rank : all) {
      parts.push_back(rank->parts.front());
      rank->parts.pop_front();
      streams.emplace_back(rank->device, parts.back().stream);
      if (parts.back().count != parts[0].count)
        die("rank 0 calls ncclAllReduce count=%zu where rank %d calls it with count=%zu", parts[0].count, rank->number,
            parts.back().count);
    }
    const cudaError_t queued = emulated_enqueue_together(streams, "ncclAllReduce", [parts] { run(parts); });
    if (queued == cudaErrorIllegalAddress) return false;
    if (queued != cudaSuccess) die("ncclAllReduce cannot be queued: %s", cudaGetErrorString(queued));
  }
  return true;
}

// Waits until the other ranks have joined. Ranks that this thread calls for must be in the same group.
void await_others(const Rank& rank, std::unique_lock<std::mutex>& lock) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (bool late = false; !rank.parts.empty(); late = joined.wait_until(lock, end) == std::cv_status::timeout) {
    for (size_t number = 0; number < rank.all->size(); ++number) {
      const Rank* other = (*rank.all)[number];
      if (other != nullptr && (!other->parts.empty() || (other->thread != std::this_thread::get_id() && !late)))
        continue;
      die("rank %d calls ncclAllReduce count=%zu and rank %zu %s", rank.number, rank.parts.front().count, number,
          other == nullptr ? "is destroyed" : "does not join");
    }
  }
}

ncclResult_t perform(const std::vector<Part>& parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    for (size_t j = 0; j < parts.size(); ++j) {
      if (i == j || parts[i].rank != parts[j].rank) continue;
      if (overlap(parts[i].receive, parts[i].count, parts[j].send, parts[j].count) ||
          overlap(parts[i].receive, parts[i].count, parts[j].receive, parts[j].count))
        die("rank %d: one group, whose collectives run in any order, writes memory that another of them uses",
            parts[i].rank->number);
    }
  }
  std::unique_lock<std::mutex> lock(mutex);
  for (const Part& part : parts) {
    part.rank->thread = std::this_thread::get_id();
    part.rank->parts.push_back(part);
  }
  for (const Part& part : parts) {
    if (!launch(*part.rank->all)) return ncclUnhandledCudaError;
  }
  joined.notify_all();
  for (const Part& part : parts) await_others(*part.rank, lock);
  return ncclSuccess;
}

bool is_memory_of(int device, const float* memory, size_t bytes) {
  cudaPointerAttributes attributes;
  if (bytes == 0) return true;
  return emulated_on_device(memory, bytes) && cudaPointerGetAttributes(&attributes, memory) == cudaSuccess &&
         attributes.device == device;
}

// Checks a call; the current device must be the rank's.
ncclResult_t check(const Part& part) {
  const Rank& rank = *part.rank;
  int device = -1;
  cudaStreamCaptureStatus capture;
  if (cudaStreamGetDevice(part.stream, &device) != cudaSuccess || device != rank.device)
    die("rank %d of device %d is given a stream of device %d (-1: no stream)", rank.number, rank.device, device);
  if (cudaStreamIsCapturing(part.stream, &capture) != cudaSuccess || capture != cudaStreamCaptureStatusNone)
    return refuse(ncclInvalidUsage, "collectives are not captured");
  if (!is_memory_of(rank.device, part.send, part.bytes()) || !is_memory_of(rank.device, part.receive, part.bytes()))
    return refuse(ncclInvalidArgument, "a buffer does not lie in one allocation of the rank's device");
  if (part.send != part.receive && overlap(part.send, part.count, part.receive, part.count))
    return refuse(ncclInvalidArgument, "the buffers overlap and are not one");
  return ncclSuccess;
}

ncclResult_t destroy(ncclComm_t communicator) {
  const std::lock_guard<std::mutex> lock(mutex);
  const std::unique_ptr<Rank> rank(reinterpret_cast<Rank*>(communicator));
  if (ranks.erase(rank.get()) == 0) die("a communicator is destroyed that is none");
  (*rank->all)[static_cast<size_t>(rank->number)] = nullptr;
  joined.notify_all();
  return ncclSuccess;
}

}  // namespace

extern "C" {

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    default: return "unknown result code";
  }
}

ncclResult_t ncclCommInitAll(ncclComm_t* communicators, int count, const int* devices) {
  int present = 0;
  if (count < 1) return refuse(ncclInvalidArgument, "no devices");
  if (cudaGetDeviceCount(&present) != cudaSuccess) return refuse(ncclUnhandledCudaError, "no device is present");
  std::set<int> different;
  for (int i = 0; i < count; ++i) {
    const int device = devices == nullptr ? i : devices[i];
    if (device < 0 || device >= present) return refuse(ncclUnhandledCudaError, "a device that is not present");
    if (!different.insert(device).second) return refuse(ncclInvalidUsage, "a device is named twice");
  }
  const std::lock_guard<std::mutex> lock(mutex);
  const auto all = std::make_shared<std::vector<Rank*>>();
  for (int i = 0; i < count; ++i) {
    all->push_back(new Rank{all, i, devices == nullptr ? i : devices[i], {}, {}});
    ranks.insert(all->back());
    communicators[i] = reinterpret_cast<ncclComm_t>(all->back());
  }
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t communicator) { return destroy(communicator); }
ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  emulated_give_up_failed();
  return destroy(communicator);
}

// Launches take time, during which other threads continue.
ncclResult_t ncclGroupStart() {
  if (depth++ == 0) {
    emulated_starts_together(true);
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  return ncclSuccess;
}
// A group with a failed call does nothing.
ncclResult_t ncclGroupEnd() {
  if (depth == 0) return refuse(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  if (--depth > 0) return ncclSuccess;
  const std::vector<Part> parts = std::exchange(group, {});
  const ncclResult_t error = std::exchange(group_error, ncclSuccess);
  const ncclResult_t result = error == ncclSuccess ? perform(parts) : error;
  emulated_starts_together(false);
  return result;
}

ncclResult_t ncclAllReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t communicator, cudaStream_t stream) {
  const Part part{count, static_cast<const float*>(send), static_cast<float*>(receive), stream,
                  reinterpret_cast<Rank*>(communicator)};
  if (type != ncclFloat32 || operation != ncclSum) return refuse(ncclInvalidArgument, "only sums of floats are made");
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!ranks.contains(part.rank)) return refuse(ncclInvalidArgument, "no communicator, or one that is destroyed");
  }
  int before = 0;
  cudaGetDevice(&before);
  cudaSetDevice(part.rank->device);
  const ncclResult_t result = check(part);
  cudaSetDevice(before);
  if (result != ncclSuccess) return result;
  if (depth == 0) return perform({part});
  group.push_back(part);
  return ncclSuccess;
}

}  // extern "C"
