// The best of a few runs on all threads: a loop of multiply-adds, and a copy that is larger than the caches.
#include "device/cpu/best_speed.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "device/cpu/isa.h"
#include "device/cpu/isa/peak.h"
#include "device/cpu/parallel.h"

namespace trainer::cpu {
namespace {

// `amount`: the operations or bytes of one call of `work`.
template <typename Work>
double best_rate(double amount, const Work& work) {
  constexpr int kRuns = 6;
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::max(best, amount / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace

DeviceSpeed measure_best_speed() {
  const int threads = omp_get_max_threads();
  const PeakTable& peak = for_isa(isa_v2::kPeakTable, isa_v3::kPeakTable, isa_v4::kPeakTable);
  constexpr int64_t kRounds = 400'000, kFloats = int64_t{8} << 20;
  DeviceSpeed speed;
  speed.operations = best_rate(static_cast<double>(threads) * static_cast<double>(kRounds * peak.operations), [&] {
#pragma omp parallel num_threads(threads)
    {
      volatile float kept = peak.multiply_add(kRounds);
      (void)kept;
    }
  });
  const auto from = std::make_unique<float[]>(kFloats), to = std::make_unique<float[]>(kFloats);
  speed.bytes = best_rate(2.0 * kFloats * sizeof(float), [&] {
    parallel_ranges(threads, kFloats, 1, [&](int, int64_t begin, int64_t end) {
      std::memcpy(to.get() + begin, from.get() + begin, static_cast<size_t>(end - begin) * sizeof(float));
    });
  });
  return speed;
}

}  // namespace trainer::cpu
