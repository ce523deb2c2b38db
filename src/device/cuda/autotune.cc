// Times each way as a captured graph of several launches. The ways alternate over a few rounds, and the best time
// counts.
#include "device/cuda/autotune.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "device/cuda/check.h"
#include "device/cuda/disk_cache.h"
#include "device/cuda/stream.h"

namespace trainer::cuda {
namespace {

using Seconds = std::chrono::duration<double>;
constexpr Seconds kMostSeconds{120};
constexpr int kRounds = 4, kInARow = 3;
constexpr double kHopeless = 3;    // times as slow as the best: not run again
constexpr double kWorthIt = 0.97;  // of the first way's time
constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr int kFiller = 0x3C;  // small numbers of each type; with zeros a GPU draws less power and runs faster

Seconds spent{0};

void tell_once(const Context& context) {
  static bool told = false;
  if (told || !context.options.tell) return;
  told = true;
  const std::string reason = refuse_keeping();
  context.options.tell(
      fmt::format("Trying out ways to compute convolutions and products on {}; {}", context.properties.name,
                  reason.empty() ? "what is fastest is kept in " + cache_folder()
                                 : fmt::format("each run does so, as nothing can be kept ({})", reason)));
}

// nullptr where it does not run or cannot be recorded.
std::unique_ptr<CapturedPass> recorded(Context& context, const Trials::Way& way) {
  try {
    way.run();  // the first time loads code
    context.wait();
  } catch (const std::exception&) {
    return nullptr;
  }
  return record(context, [&] {
    for (int i = 0; i < kInARow; ++i) way.run();
  });
}

// Scratch memory of a trial, filled; empty where the GPU has too little.
class Blocks {
 public:
  Blocks(const Context& context, const std::vector<int64_t>& bytes) : stream_(context.stream()) {
    size_t all = 0;
    for (int64_t block : bytes) all += static_cast<size_t>(aligned(block));
    if (!succeeds(cudaMalloc(&memory_, all))) return;
    check(cudaMemsetAsync(memory_, kFiller, all, stream_), "filling memory");
    std::byte* next = static_cast<std::byte*>(memory_);
    for (int64_t block : bytes) {
      blocks_.push_back(next);
      next += aligned(block);
    }
  }
  ~Blocks() {
    ignore_result(cudaStreamSynchronize(stream_));
    ignore_result(cudaFree(memory_));
  }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  std::span<void* const> get() const { return blocks_; }

 private:
  cudaStream_t stream_;
  void* memory_ = nullptr;
  std::vector<void*> blocks_;
};

}  // namespace

Trials::Trials(Context& context)
    : context_(context),
      tries_(!context.planned() && !context.options.deterministic),
      has_time_(spent < kMostSeconds) {}
Trials::~Trials() {
  if (tries_) spent += std::chrono::steady_clock::now() - began_;
}

std::vector<double> Trials::seconds_of_each(const std::vector<Way>& ways) {
  std::vector<std::unique_ptr<CapturedPass>> recordings;
  for (const Way& way : ways) recordings.push_back(recorded(context_, way));
  std::vector<double> seconds(ways.size(), kNever);
  double least = kNever;
  for (int round = 0; round < kRounds; ++round) {
    for (size_t way = 0; way < ways.size(); ++way) {
      if (recordings[way] == nullptr || (round > 0 && seconds[way] > kHopeless * least)) continue;
      seconds[way] = std::min(seconds[way], seconds_of(context_, [&] { recordings[way]->run(); }));
      least = std::min(least, seconds[way]);
    }
  }
  return seconds;
}

Trials::Verdict Trials::fastest(size_t count, const std::vector<int64_t>& bytes,
                                const std::function<std::vector<Way>(std::span<void* const>)>& ways_on) {
  if (!tries_) return {0, true};
  if (!has_time_) return {};
  const Blocks blocks(context_, bytes);
  if (blocks.get().empty()) return {};
  const std::vector<Way> ways = ways_on(blocks.get());
  if (count == 1 && !ways[0].is_right) return {0, true};
  tell_once(context_);
  std::vector<double> seconds = seconds_of_each(ways);
  bool any_ran = false;
  for (;;) {
    const auto best = std::min_element(seconds.begin(), seconds.end());
    if (*best == kNever) return {{}, any_ran};
    any_ran = true;
    // The first way, unless the gain is clear: less may be chance.
    const auto chosen = *best > kWorthIt * seconds.front() ? seconds.begin() : best;
    const size_t way = static_cast<size_t>(chosen - seconds.begin());
    try {
      if (!ways[way].is_right || ways[way].is_right()) return {way, true};
    } catch (const std::exception&) {
      return {};
    }
    *chosen = kNever;
  }
}

}  // namespace trainer::cuda
