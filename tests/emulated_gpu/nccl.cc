// NCCL's all-reduce on the CPU. It runs when the streams of all ranks of the process have reached it. Deadlocks and
// data races in one process end it with a message. Ranks of other processes are reached through nccl_node.h; their
// communicators do not block: calls of theirs end with ncclInProgress, and go on when ncclCommGetAsyncError is called.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "emulated_runtime.h"
#include "nccl_node.h"
#include "numbers.h"

namespace {

using emulator::Exchange;
using emulator::Node;

struct Rank;

// The part of one rank in an all-reduce.
struct Part {
  size_t count;
  ncclDataType_t type;  // ncclFloat32 or ncclBfloat16
  const char* send;
  char* receive;
  cudaStream_t stream;
  Rank* rank;

  size_t bytes() const { return count * (type == ncclFloat32 ? sizeof(float) : sizeof(uint16_t)); }
};

struct Rank {
  std::shared_ptr<std::vector<Rank*>> all;  // of this process; nullptr: destroyed
  int number, device;                       // the number is that in `all`
  std::thread::id thread;                   // of the last call
  std::deque<Part> parts;                   // that wait for the parts of other ranks
  std::shared_ptr<Node> node;               // if there are ranks in other processes
  bool polled = false;                      // since the last call
};

// A call of ncclCommInitRankConfig.
struct Start {
  ncclComm_t* communicator;
  std::string id;
  int world, number, device;
};

// The time that a thread waits for the calls of other threads.
constexpr std::chrono::seconds kPatience(60);

std::mutex mutex;
std::condition_variable joined;
std::set<Rank*> ranks;

thread_local int depth = 0;
thread_local std::vector<Part> group;
thread_local std::vector<Start> starts;
thread_local std::string last_error;
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
  last_error = reason;
  if (depth > 0 && group_error == ncclSuccess) group_error = result;
  return result;
}

bool overlap(const char* a, size_t a_bytes, const char* b, size_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

emulator::Element element_of(const Part& part) {
  return part.type == ncclFloat32 ? emulator::Element::kF32 : emulator::Element::kBF16;
}
std::vector<float> read(const Part& part) {
  std::vector<float> numbers(part.count);
  for (size_t i = 0; i < part.count; ++i)
    numbers[i] = emulator::load(part.send, element_of(part), static_cast<int64_t>(i));
  return numbers;
}
void write(const std::vector<float>& numbers, const Part& part) {
  for (size_t i = 0; i < part.count; ++i)
    emulator::store(part.receive, element_of(part), static_cast<int64_t>(i), numbers[i]);
}

// Sums in the order of the ranks. Reads all inputs before it writes.
void run(const std::vector<Part>& parts) {
  std::vector<float> sums = read(parts[0]);
  for (size_t rank = 1; rank < parts.size(); ++rank) {
    const std::vector<float> numbers = read(parts[rank]);
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += numbers[i];
  }
  for (const Part& part : parts) write(sums, part);
}

// The same with the ranks of other processes. An exchange that is aborted ends with wrong numbers.
cudaError_t enqueue_exchange(const std::shared_ptr<Node>& node, const std::vector<Part>& parts,
                             const std::vector<std::pair<int, cudaStream_t>>& streams) {
  const auto exchange = std::make_shared<Exchange>();
  const cudaError_t queued = emulated_enqueue_together(streams, "ncclAllReduce", [node, exchange, parts] {
    for (const Part& part : parts) exchange->own.push_back(read(part));
    node->want(exchange);
  });
  if (queued != cudaSuccess) return queued;
  return emulated_enqueue_together(
      streams, "ncclAllReduce with other processes",
      [exchange, parts] {
        if (!exchange->done) exchange->sum.assign(parts[0].count, std::numeric_limits<float>::quiet_NaN());
        for (const Part& part : parts) write(exchange->sum, part);
      },
      [node, exchange] { return exchange->done || node->is_aborted(); });
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
    const std::shared_ptr<Node> node = all[0]->node;
    const cudaError_t queued = node == nullptr
                                   ? emulated_enqueue_together(streams, "ncclAllReduce", [parts] { run(parts); })
                                   : enqueue_exchange(node, parts, streams);
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
      if (overlap(parts[i].receive, parts[i].bytes(), parts[j].send, parts[j].bytes()) ||
          overlap(parts[i].receive, parts[i].bytes(), parts[j].receive, parts[j].bytes()))
        die("rank %d: one group, whose collectives run in any order, writes memory that another of them uses",
            parts[i].rank->number);
    }
  }
  std::unique_lock<std::mutex> lock(mutex);
  bool blocks = true;
  for (const Part& part : parts) {
    part.rank->thread = std::this_thread::get_id();
    part.rank->parts.push_back(part);
    part.rank->polled = false;
    blocks = blocks && part.rank->node == nullptr;
  }
  if (!blocks) return ncclInProgress;
  for (const Part& part : parts) {
    if (!launch(*part.rank->all)) return ncclUnhandledCudaError;
  }
  joined.notify_all();
  for (const Part& part : parts) await_others(*part.rank, lock);
  return ncclSuccess;
}

bool is_memory_of(int device, const void* memory, size_t bytes) {
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
  if (part.send != part.receive && overlap(part.send, part.bytes(), part.receive, part.bytes()))
    return refuse(ncclInvalidArgument, "the buffers overlap and are not one");
  return ncclSuccess;
}

// Makes the ranks of one group, which are those of one process.
ncclResult_t start_ranks(const std::vector<Start>& together) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto all = std::make_shared<std::vector<Rank*>>();
  std::vector<int> numbers;
  for (const Start& start : together) {
    if (start.id != together[0].id) die("one group starts ranks of several communicators");
    numbers.push_back(start.number);
  }
  const auto node = std::make_shared<Node>(together[0].id, together[0].world, numbers);
  for (const Start& start : together) {
    all->push_back(new Rank{all, static_cast<int>(all->size()), start.device, {}, {}, node});
    ranks.insert(all->back());
    *start.communicator = reinterpret_cast<ncclComm_t>(all->back());
  }
  return ncclInProgress;
}

ncclResult_t destroy(ncclComm_t communicator) {
  const std::lock_guard<std::mutex> lock(mutex);
  const std::unique_ptr<Rank> rank(reinterpret_cast<Rank*>(communicator));
  if (ranks.erase(rank.get()) == 0) die("a communicator is destroyed that is none");
  (*rank->all)[static_cast<size_t>(rank->number)] = nullptr;
  if (rank->node != nullptr) rank->node->abort();
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
    case ncclRemoteError: return "remote process exited or there was a network error";
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
    all->push_back(new Rank{all, i, devices == nullptr ? i : devices[i], {}, {}, nullptr});
    ranks.insert(all->back());
    communicators[i] = reinterpret_cast<ncclComm_t>(all->back());
  }
  return ncclSuccess;
}
const char* ncclGetLastError(ncclComm_t) { return last_error.c_str(); }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::string address = emulator::serve_exchanges();
  std::fill(std::begin(id->internal), std::end(id->internal), '\0');
  std::copy(address.begin(), address.end(), id->internal);
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* communicator, int world, ncclUniqueId id, int number,
                                    ncclConfig_t* config) {
  if (config == nullptr || config->size != sizeof *config || config->blocking != 0)
    return refuse(ncclInvalidArgument, "only communicators that do not block are made");
  if (number < 0 || number >= world) return refuse(ncclInvalidArgument, "a rank that is not below their number");
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return refuse(ncclUnhandledCudaError, "no device is current");
  const Start start{communicator, std::string(id.internal, sizeof id.internal), world, number, device};
  if (depth == 0) return start_ranks({start});
  starts.push_back(start);
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* error) {
  const std::lock_guard<std::mutex> lock(mutex);
  Rank* const rank = reinterpret_cast<Rank*>(communicator);
  if (!ranks.contains(rank)) return refuse(ncclInvalidArgument, "no communicator, or one that is destroyed");
  *error = rank->node == nullptr ? ncclSuccess : rank->node->state();
  if (*error != ncclSuccess || rank->parts.empty()) return ncclSuccess;
  *error = ncclInProgress;
  if (!std::exchange(rank->polled, true)) return ncclSuccess;
  emulated_starts_together(true);
  if (!launch(*rank->all)) *error = ncclUnhandledCudaError;
  emulated_starts_together(false);
  return ncclSuccess;
}

// The end of a communicator waits for its other ranks. Here none may be behind.
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
  const std::vector<Start> started = std::exchange(starts, {});
  const ncclResult_t error = std::exchange(group_error, ncclSuccess);
  const ncclResult_t result = error != ncclSuccess ? error : started.empty() ? perform(parts) : start_ranks(started);
  emulated_starts_together(false);
  return result;
}

ncclResult_t ncclAllReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t communicator, cudaStream_t stream) {
  const Part part{count,
                  type,
                  static_cast<const char*>(send),
                  static_cast<char*>(receive),
                  stream,
                  reinterpret_cast<Rank*>(communicator)};
  if ((type != ncclFloat32 && type != ncclBfloat16) || operation != ncclSum)
    return refuse(ncclInvalidArgument, "only sums of floats and of bfloat16 are made");
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!ranks.contains(part.rank)) return refuse(ncclInvalidArgument, "no communicator, or one that is destroyed");
    const ncclResult_t state = part.rank->node == nullptr ? ncclSuccess : part.rank->node->state();
    if (state == ncclInProgress || (part.rank->node != nullptr && !part.rank->parts.empty()))
      return refuse(ncclInvalidArgument, "the call before on this communicator is not done");
    if (state != ncclSuccess) return refuse(state, "another process is gone");
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
