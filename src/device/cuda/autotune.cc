// Times each candidate as a captured graph of several launches; candidates alternate over a few rounds and the best
// time wins.
#include "device/cuda/autotune.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "device/cuda/check.h"
#include "device/cuda/cuda_kernel.h"
#include "device/cuda/disk_cache.h"
#include "device/cuda/stream.h"

namespace trainer::cuda {
namespace {

using Seconds = std::chrono::duration<double>;
constexpr Seconds kTimeBudget{120};
constexpr int kRounds = 4, kLaunchesPerGraph = 3;
constexpr double kMaxSlowdown = 3;      // a candidate that is slower than this times the best does not run again
constexpr double kMaxTimeRatio = 0.97;  // of the best to the first candidate: a smaller gain may be noise
constexpr double kFailed = std::numeric_limits<double>::infinity();
constexpr int kFillByte = 0x3C;  // gives small values of each type; with zeros a GPU uses less power and runs faster

Seconds time_spent{0};

void announce_once(const Context& context) {
  static bool announced = false;
  if (announced || !context.options.log) return;
  announced = true;
  const std::string reason = refuse_disk_cache();
  context.options.log(
      fmt::format("Autotuning convolutions and matrix products on {}; {}", context.properties.name,
                  reason.empty() ? "the results are cached in " + cache_folder()
                                 : fmt::format("every run repeats this because the cache is not usable ({})", reason)));
}

// nullptr if the candidate cannot run or be captured.
std::unique_ptr<CapturedPass> capture(Context& context, const Autotuner::Candidate& candidate) {
  try {
    candidate.run();  // the first run loads the kernel
    context.wait();
  } catch (const std::exception&) {
    return nullptr;
  }
  return cuda::capture(context, [&] {
    for (int i = 0; i < kLaunchesPerGraph; ++i) candidate.run();
  });
}

// Filled scratch buffers; none if the GPU has too little memory.
class Buffers {
 public:
  Buffers(const Context& context, const std::vector<int64_t>& bytes) : stream_(context.stream()) {
    size_t all = 0;
    for (int64_t buffer : bytes) all += static_cast<size_t>(aligned(buffer));
    if (!succeeds(cudaMalloc(&memory_, all))) return;
    check(cudaMemsetAsync(memory_, kFillByte, all, stream_), "filling memory");
    std::byte* next = static_cast<std::byte*>(memory_);
    for (int64_t buffer : bytes) {
      buffers_.push_back(next);
      next += aligned(buffer);
    }
  }
  ~Buffers() {
    ignore_result(cudaStreamSynchronize(stream_));
    ignore_result(cudaFree(memory_));
  }
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;
  std::span<void* const> get() const { return buffers_; }

 private:
  cudaStream_t stream_;
  void* memory_ = nullptr;
  std::vector<void*> buffers_;
};

}  // namespace

Autotuner::Autotuner(Context& context)
    : context_(context),
      enabled_(!context.planned() && !context.options.deterministic),
      has_time_(time_spent < kTimeBudget) {}
Autotuner::~Autotuner() {
  if (enabled_) time_spent += std::chrono::steady_clock::now() - began_;
}

std::vector<double> Autotuner::measure(const std::vector<Candidate>& candidates) {
  std::vector<std::unique_ptr<CapturedPass>> graphs;
  for (const Candidate& candidate : candidates) graphs.push_back(capture(context_, candidate));
  std::vector<double> seconds(candidates.size(), kFailed);
  double best = kFailed;
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (graphs[i] == nullptr || (round > 0 && seconds[i] > kMaxSlowdown * best)) continue;
      seconds[i] = std::min(seconds[i], seconds_of(context_, [&] { graphs[i]->run(); }));
      best = std::min(best, seconds[i]);
    }
  }
  return seconds;
}

Autotuner::Choice Autotuner::fastest(
    size_t count, const std::vector<int64_t>& bytes,
    const std::function<std::vector<Candidate>(std::span<void* const>)>& make_candidates) {
  if (!enabled_) return {0, true};
  if (!has_time_) return {};
  const Buffers buffers(context_, bytes);
  if (buffers.get().empty()) return {};
  const std::vector<Candidate> candidates = make_candidates(buffers.get());
  if (count == 1 && !candidates[0].is_correct) return {0, true};
  announce_once(context_);
  std::vector<double> seconds = measure(candidates);
  bool any_ran = false;
  for (;;) {
    const auto best = std::min_element(seconds.begin(), seconds.end());
    if (*best == kFailed) return {{}, any_ran};
    any_ran = true;
    const auto chosen = *best > kMaxTimeRatio * seconds.front() ? seconds.begin() : best;
    const size_t i = static_cast<size_t>(chosen - seconds.begin());
    try {
      if (!candidates[i].is_correct || candidates[i].is_correct()) return {i, true};
    } catch (const std::exception&) {
      return {};
    }
    *chosen = kFailed;
  }
}

}  // namespace trainer::cuda
