// Ways are timed as they will run, recorded and several in a row: the best of a few rounds, each of which all ways share.
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
constexpr double kWorthIt = 0.97;  // of the first way's time: less of a gain may be chance
constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr int kFiller = 0x3C;  // small numbers of each type; with zeros a GPU draws less power and runs faster

Seconds spent{0};

void tell_once(const Context& context) {
  static bool told = false;
  if (told || !context.options.tell) return;
  told = true;
  const std::string reason = refuse_keeping();
  context.options.tell(fmt::format("Trying out ways to compute convolutions and products on {}; {}", context.properties.name,
                                   reason.empty() ? "what is fastest is kept in " + cache_folder()
                                                  : fmt::format("each run does so, as nothing can be kept ({})", reason)));
}

// nullptr where it does not run or cannot be recorded.
std::unique_ptr<Recording> recorded(Context& context, const Trials::Way& way) {
  try {
    way();  // the first time loads code
    context.wait();
  } catch (const std::exception&) {
    cudaGetLastError();
    return nullptr;
  }
  return record(context, [&] {
    for (int i = 0; i < kInARow; ++i) way();
  });
}

}  // namespace

Trials::Trials(Context& context)
    : context_(context), tries_(!context.planned() && !context.options.deterministic), has_time_(spent < kMostSeconds) {}
Trials::~Trials() {
  if (tries_) spent += std::chrono::steady_clock::now() - began_;
}

std::optional<size_t> Trials::fastest(size_t count, const std::vector<int64_t>& bytes,
                                      const std::function<std::vector<Way>(std::span<void* const>)>& ways_on) {
  if (!tries_) return 0;
  if (!has_time_) return {};
  if (count == 1) return 0;
  tell_once(context_);
  const cudaStream_t stream = context_.stream();
  size_t all = 0;
  for (int64_t block : bytes) all += static_cast<size_t>(aligned(block));
  void* memory = nullptr;
  if (cudaMalloc(&memory, all) != cudaSuccess) {
    cudaGetLastError();
    return {};
  }
  const auto release = [stream](void* block) {
    cudaStreamSynchronize(stream);
    cudaFree(block);
  };
  const std::unique_ptr<void, decltype(release)> owner(memory, release);
  check(cudaMemsetAsync(memory, kFiller, all, stream), "filling memory");
  std::vector<void*> blocks;
  std::byte* next = static_cast<std::byte*>(memory);
  for (int64_t block : bytes) {
    blocks.push_back(next);
    next += aligned(block);
  }

  std::vector<std::unique_ptr<Recording>> recordings;
  for (const Way& way : ways_on(blocks)) recordings.push_back(recorded(context_, way));
  std::vector<double> seconds(count, kNever);
  double least = kNever;
  for (int round = 0; round < kRounds; ++round) {
    for (size_t way = 0; way < count; ++way) {
      if (recordings[way] == nullptr || (round > 0 && seconds[way] > kHopeless * least)) continue;
      seconds[way] = std::min(seconds[way], seconds_of(context_, [&] { recordings[way]->run(); }));
      least = std::min(least, seconds[way]);
    }
  }
  if (least == kNever) return {};
  if (least > kWorthIt * seconds.front()) return 0;
  return static_cast<size_t>(std::find(seconds.begin(), seconds.end(), least) - seconds.begin());
}

}  // namespace trainer::cuda
