// The fastest of several ways to compute the same, found by trials on the GPU at hand.
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
// there the first way wins. All trials of a process share about two minutes.
class Trials {
 public:
  explicit Trials(Context& context);
  ~Trials();
  Trials(const Trials&) = delete;
  Trials& operator=(const Trials&) = delete;

  // How many ways are worth preparing.
  size_t most_ways() const { return tries_ && has_time_ ? kMostWays : 1; }

  struct Way {
    std::function<void()> run;  // queues the computation
    // Where set, whether the result is right. Called for the fastest ways, until one is; may overwrite the blocks.
    std::function<bool()> is_right;
  };
  struct Verdict {
    std::optional<size_t> way;
    // Trials by a later process would find the same: not where time was spent, the GPU lacked memory or a check failed.
    bool is_final = false;
  };
  // The fastest right one of `count` ways, which `ways_on` makes for blocks of scratch memory of these sizes, each
  // aligned as workspaces are.
  Verdict fastest(size_t count, const std::vector<int64_t>& bytes,
                  const std::function<std::vector<Way>(std::span<void* const> blocks)>& ways_on);

 private:
  static constexpr size_t kMostWays = 8;

  // Of each way, infinite where it cannot run or be recorded.
  std::vector<double> seconds_of_each(const std::vector<Way>& ways);

  Context& context_;
  const bool tries_, has_time_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace trainer::cuda
