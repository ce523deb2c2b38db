// NCCL on the CPU, for the GPUs of one process: a collective runs when the streams of all ranks have come to it. What
// would hang, or reads what is being written, ends the process with a message.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "emulated_runtime.h"
#include "numbers.h"

using emulator::Element;

namespace {

enum class Kind { kAllReduce, kReduce, kReduceScatter, kBroadcast, kAllGather };
const char* const kNames[] = {"ncclAllReduce", "ncclReduce", "ncclReduceScatter", "ncclBroadcast", "ncclAllGather"};

struct Rank;

// What one rank does for a collective.
struct Part {
  Kind kind;
  size_t count;
  ncclDataType_t type;
  int operation, root;  // -1: has none
  const char* send;
  char* receive;
  cudaStream_t stream;
  Rank* rank = nullptr;
  size_t sent = 0, received = 0;  // bytes that the rank's own memory holds

  bool reduces() const { return kind <= Kind::kReduceScatter; }
  bool has_root() const { return kind == Kind::kReduce || kind == Kind::kBroadcast; }
  bool matches(const Part& other) const {
    return kind == other.kind && count == other.count && type == other.type && operation == other.operation && root == other.root;
  }
  std::string text() const {
    char line[128];
    std::snprintf(line, sizeof line, "%s count=%zu type=%d operation=%d root=%d", kNames[static_cast<int>(kind)], count, type, operation,
                  root);
    return line;
  }
};

struct Rank {
  std::shared_ptr<std::vector<Rank*>> all;  // nullptr: destroyed
  int number, device;
  std::thread::id thread;  // that called for it last
  std::deque<Part> parts;  // that wait for those of other ranks
};

// How long a thread waits for ranks that other threads may call for.
constexpr std::chrono::seconds kPatience(60);

std::mutex mutex;
std::condition_variable joined;
std::set<Rank*> ranks;

thread_local int depth = 0;
thread_local std::vector<Part> group;
thread_local ncclResult_t group_error = ncclSuccess;
thread_local const char* last_error = "";

__attribute__((format(printf, 1, 2))) [[noreturn]] void die(const char* format, ...) {
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

// By type.
constexpr size_t kSizes[ncclNumTypes] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2, 1, 1};

bool overlap(const char* a, size_t a_bytes, const char* b, size_t b_bytes) {
  return a_bytes > 0 && b_bytes > 0 && a < b + b_bytes && b < a + a_bytes;
}

// In the order of the ranks, as floats; an average is of inputs that are divided first, as NCCL does.
std::vector<char> reduced(const std::vector<Part>& parts) {
  const Part& first = parts[0];
  const Element element = first.type == ncclFloat32 ? Element::kF32 : first.type == ncclFloat16 ? Element::kF16 : Element::kBF16;
  const float factor = first.operation == ncclAvg ? 1.0f / static_cast<float>(parts.size()) : 1.0f;
  std::vector<char> whole(first.sent);
  for (int64_t i = 0; i < static_cast<int64_t>(first.sent / kSizes[first.type]); ++i) {
    float result = factor * emulator::load(first.send, element, i);
    for (size_t rank = 1; rank < parts.size(); ++rank) {
      const float x = factor * emulator::load(parts[rank].send, element, i);
      result = first.operation == ncclMax ? std::fmax(result, x) : result + x;
    }
    emulator::store(whole.data(), element, i, result);
  }
  return whole;
}

// All is read before anything is written.
void run(const std::vector<Part>& parts) {
  const Part& first = parts[0];
  std::vector<char> whole;
  if (first.reduces()) {
    whole = reduced(parts);
  } else {
    for (const Part& part : parts) whole.insert(whole.end(), part.send, part.send + part.sent);
  }
  for (size_t rank = 0; rank < parts.size(); ++rank) {
    const size_t offset = first.kind == Kind::kReduceScatter ? rank * parts[rank].received : 0;
    if (parts[rank].received > 0) std::memcpy(parts[rank].receive, whole.data() + offset, parts[rank].received);
  }
}

// Queues the collectives that all ranks have joined.
void launch(const std::vector<Rank*>& all) {
  while (std::all_of(all.begin(), all.end(), [](const Rank* rank) { return rank != nullptr && !rank->parts.empty(); })) {
    std::vector<Part> parts;
    std::vector<std::pair<int, cudaStream_t>> streams;
    for (Rank* rank : all) {
      parts.push_back(rank->parts.front());
      rank->parts.pop_front();
      streams.emplace_back(rank->device, parts.back().stream);
      if (!parts.back().matches(parts[0]))
        die("rank 0 calls %s where rank %d calls %s", parts[0].text().c_str(), rank->number, parts.back().text().c_str());
    }
    const char* name = kNames[static_cast<int>(parts[0].kind)];
    const cudaError_t queued = emulated_enqueue_together(streams, name, [parts] { run(parts); });
    if (queued != cudaSuccess) die("%s cannot be queued: %s", name, cudaGetErrorString(queued));
  }
}

// Waits until the others have joined what `rank` has: those that this thread calls for have to be in the same group.
void await_others(const Rank& rank, std::unique_lock<std::mutex>& lock) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (bool late = false; !rank.parts.empty(); late = joined.wait_until(lock, end) == std::cv_status::timeout) {
    for (size_t number = 0; number < rank.all->size(); ++number) {
      const Rank* other = (*rank.all)[number];
      if (other != nullptr && (!other->parts.empty() || (other->thread != std::this_thread::get_id() && !late))) continue;
      die("rank %d calls %s and rank %zu %s", rank.number, rank.parts.front().text().c_str(), number,
          other == nullptr ? "is destroyed" : "does not join");
    }
  }
}

ncclResult_t perform(const std::vector<Part>& parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    for (size_t j = 0; j < parts.size(); ++j) {
      if (i == j || parts[i].rank != parts[j].rank) continue;
      if (overlap(parts[i].receive, parts[i].received, parts[j].send, parts[j].sent) ||
          overlap(parts[i].receive, parts[i].received, parts[j].receive, parts[j].received))
        die("rank %d: one group, whose collectives run in any order, writes memory that another of them uses", parts[i].rank->number);
    }
  }
  std::unique_lock<std::mutex> lock(mutex);
  for (const Part& part : parts) {
    part.rank->thread = std::this_thread::get_id();
    part.rank->parts.push_back(part);
  }
  for (const Part& part : parts) launch(*part.rank->all);
  joined.notify_all();
  for (const Part& part : parts) await_others(*part.rank, lock);
  return ncclSuccess;
}

bool is_memory_of(int device, const char* memory, size_t bytes) {
  cudaPointerAttributes attributes;
  if (bytes == 0) return true;
  return emulated_on_device(memory, bytes) && cudaPointerGetAttributes(&attributes, memory) == cudaSuccess && attributes.device == device;
}

// With the rank's device as the current one. Memory that a rank does not use may be anything.
ncclResult_t check(Part* part) {
  const Rank& rank = *part->rank;
  const int count = static_cast<int>(rank.all->size());
  if (part->type < 0 || part->type >= ncclNumTypes) return refuse(ncclInvalidArgument, "no type");
  const size_t bytes = part->count * kSizes[part->type];
  if (part->reduces() && part->type != ncclFloat32 && part->type != ncclFloat16 && part->type != ncclBfloat16)
    return refuse(ncclInvalidArgument, "only f32, f16 and bf16 are reduced");
  if (part->reduces() && part->operation != ncclSum && part->operation != ncclAvg && part->operation != ncclMax)
    return refuse(ncclInvalidArgument, "only sums, averages and maxima are reductions");
  if (part->has_root() && (part->root < 0 || part->root >= count)) return refuse(ncclInvalidArgument, "the root is no rank");
  const bool is_root = !part->has_root() || part->root == rank.number;
  part->sent = part->kind == Kind::kBroadcast && !is_root ? 0 : part->kind == Kind::kReduceScatter ? bytes * rank.all->size() : bytes;
  part->received = part->kind == Kind::kReduce && !is_root ? 0 : part->kind == Kind::kAllGather ? bytes * rank.all->size() : bytes;
  int device = -1;
  cudaStreamCaptureStatus capture;
  if (cudaStreamGetDevice(part->stream, &device) != cudaSuccess || device != rank.device)
    die("rank %d of device %d is given a stream of device %d (-1: no stream)", rank.number, rank.device, device);
  if (cudaStreamIsCapturing(part->stream, &capture) != cudaSuccess || capture != cudaStreamCaptureStatusNone)
    return refuse(ncclInvalidUsage, "collectives are not captured");
  if (!is_memory_of(rank.device, part->send, part->sent) || !is_memory_of(rank.device, part->receive, part->received))
    return refuse(ncclInvalidArgument, "a buffer does not lie in one allocation of the rank's device");
  const size_t shift = static_cast<size_t>(rank.number) * bytes;
  const bool in_place = part->kind == Kind::kAllGather       ? part->send == part->receive + shift
                        : part->kind == Kind::kReduceScatter ? part->receive == part->send + shift
                                                             : part->send == part->receive;
  if (!in_place && overlap(part->send, part->sent, part->receive, part->received))
    return refuse(ncclInvalidArgument, "the buffers overlap and are not those of a call in place");
  return ncclSuccess;
}

ncclResult_t join(Kind kind, const void* send, void* receive, size_t count, ncclDataType_t type, int operation, int root,
                  ncclComm_t communicator, cudaStream_t stream) {
  Part part{kind, count, type, operation, root, static_cast<const char*>(send), static_cast<char*>(receive), stream};
  part.rank = reinterpret_cast<Rank*>(communicator);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!ranks.contains(part.rank)) return refuse(ncclInvalidArgument, "no communicator, or one that is destroyed");
  }
  int before = 0;
  cudaGetDevice(&before);
  cudaSetDevice(part.rank->device);
  const ncclResult_t result = check(&part);
  cudaSetDevice(before);
  if (result != ncclSuccess) return result;
  if (depth == 0) return perform({part});
  group.push_back(part);
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

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    default: return "unknown result code";
  }
}
const char* ncclGetLastError(ncclComm_t) { return last_error; }

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
ncclResult_t ncclCommAbort(ncclComm_t communicator) { return destroy(communicator); }
ncclResult_t ncclCommCount(const ncclComm_t communicator, int* count) {
  *count = static_cast<int>(reinterpret_cast<Rank*>(communicator)->all->size());
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t communicator, int* rank) {
  *rank = reinterpret_cast<Rank*>(communicator)->number;
  return ncclSuccess;
}

// Launches take time, in which other threads go on.
ncclResult_t ncclGroupStart() {
  if (depth++ == 0) {
    emulated_starts_together(true);
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  return ncclSuccess;
}
// A group in which a call failed does nothing.
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
  return join(Kind::kAllReduce, send, receive, count, type, operation, -1, communicator, stream);
}
ncclResult_t ncclReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t operation, int root,
                        ncclComm_t communicator, cudaStream_t stream) {
  return join(Kind::kReduce, send, receive, count, type, operation, root, communicator, stream);
}
ncclResult_t ncclReduceScatter(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                               ncclComm_t communicator, cudaStream_t stream) {
  return join(Kind::kReduceScatter, send, receive, count, type, operation, -1, communicator, stream);
}
ncclResult_t ncclBroadcast(const void* send, void* receive, size_t count, ncclDataType_t type, int root, ncclComm_t communicator,
                           cudaStream_t stream) {
  return join(Kind::kBroadcast, send, receive, count, type, -1, root, communicator, stream);
}
ncclResult_t ncclBcast(void* memory, size_t count, ncclDataType_t type, int root, ncclComm_t communicator, cudaStream_t stream) {
  return ncclBroadcast(memory, memory, count, type, root, communicator, stream);
}
ncclResult_t ncclAllGather(const void* send, void* receive, size_t count, ncclDataType_t type, ncclComm_t communicator,
                           cudaStream_t stream) {
  return join(Kind::kAllGather, send, receive, count, type, -1, -1, communicator, stream);
}

}  // extern "C"
