// The fastest of several ways to compute the same, found by trying them on the GPU at hand.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "device/cuda/context.h"

namespace trainer::cuda {

// The trials for one op. Nothing is tried on a GPU that is only planned for, nor where runs must repeat bit for bit:
// there the first way is the one to take. All trials of a process share about two minutes.
class Trials {
 public:
  explicit Trials(Context& context);
  ~Trials();
  Trials(const Trials&) = delete;
  Trials& operator=(const Trials&) = delete;

  // How many ways are worth preparing.
  size_t most_ways() const { return tries_ && has_time_ ? kMostWays : 1; }

  // Queues one way to compute.
  using Way = std::function<void()>;
  // The number of the fastest of `count` ways, which `ways_on` makes for blocks of scratch memory of these sizes, each
  // aligned as workspaces are. None where time is spent, no way can be recorded or the GPU has not the memory: then a later
  // process may find out.
  std::optional<size_t> fastest(size_t count, const std::vector<int64_t>& bytes,
                                const std::function<std::vector<Way>(std::span<void* const> blocks)>& ways_on);

 private:
  static constexpr size_t kMostWays = 8;

  Context& context_;
  const bool tries_, has_time_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace trainer::cuda
