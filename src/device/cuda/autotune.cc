// Ways are timed as they will run: recorded, several in a row, the best of a few rounds.
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
constexpr int kRounds = 3, kInARow = 3;
constexpr int kFiller = 0x3C;  // small numbers of each type; with zeros a GPU draws less power and runs faster

Seconds spent{0};

void tell_once(const Context& context) {
  static bool told = false;
  if (told || !context.options.tell) return;
  told = true;
  const std::string folder = cache_folder();
  context.options.tell(fmt::format("Trying out ways to compute convolutions and products on {}{}", context.properties.name,
                                   folder.empty() ? "" : "; what is fastest is kept in " + folder));
}

// Of one run; infinity where it does not run or cannot be recorded.
double seconds_of(Context& context, const Trials::Way& way) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  try {
    way();  // the first time loads code
  } catch (const Error&) {
    return kNever;
  }
  const std::unique_ptr<Recording> recording = record(context, [&] {
    for (int i = 0; i < kInARow; ++i) way();
  });
  if (recording == nullptr) return kNever;
  const std::unique_ptr<StepTimer> timer = make_step_timer(context);
  for (int round = 0; round <= kRounds; ++round) {
    recording->run();
    timer->mark();
  }
  const std::vector<double> seconds = timer->read();
  return *std::min_element(seconds.begin(), seconds.end()) / kInARow;
}

}  // namespace

Trials::Trials(Context& context)
    : context_(context), tries_(!context.planned() && !context.options.deterministic), has_time_(spent < kMostSeconds) {}
Trials::~Trials() {
  if (tries_) spent += std::chrono::steady_clock::now() - began_;
}

std::optional<size_t> Trials::fastest(size_t count, int64_t bytes, const std::function<std::vector<Way>(std::byte*)>& ways_on) {
  if (!tries_) return 0;
  if (!has_time_) return {};
  if (count == 1) return 0;
  tell_once(context_);
  const cudaStream_t stream = context_.stream();
  void* memory = nullptr;
  if (cudaMalloc(&memory, static_cast<size_t>(bytes)) != cudaSuccess) {
    cudaGetLastError();
    return {};
  }
  const auto release = [stream](void* block) {
    cudaStreamSynchronize(stream);
    cudaFree(block);
  };
  const std::unique_ptr<void, decltype(release)> owner(memory, release);
  check(cudaMemsetAsync(memory, kFiller, static_cast<size_t>(bytes), stream), "filling memory");

  std::vector<double> seconds;
  for (const Way& way : ways_on(static_cast<std::byte*>(memory))) seconds.push_back(seconds_of(context_, way));
  const auto best = std::min_element(seconds.begin(), seconds.end());
  if (best == seconds.end() || *best == std::numeric_limits<double>::infinity()) return {};
  return static_cast<size_t>(best - seconds.begin());
}

}  // namespace trainer::cuda
