// Finds the fastest of several ways to run an op by measurements on the GPU.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "device/cuda/context.h"

namespace trainer::cuda {

// Tunes one op. On a GPU that is only planned for, and with the option `deterministic`, it measures nothing and the
// first candidate wins. All autotuners of a process share a budget of about two minutes.
class Autotuner {
 public:
  explicit Autotuner(Context& context);
  ~Autotuner();
  Autotuner(const Autotuner&) = delete;
  Autotuner& operator=(const Autotuner&) = delete;

  // The number of candidates that it can use.
  size_t max_candidates() const { return enabled_ && has_time_ ? kMaxCandidates : 1; }

  struct Candidate {
    std::function<void()> run;  // queues the work
    // If set, checks the result. Called for the fastest candidates until one is correct. May overwrite the buffers.
    std::function<bool()> is_correct;
  };
  struct Choice {
    std::optional<size_t> candidate;
    // Whether the choice may be cached: false if the time budget was spent, memory was short or a check failed.
    bool is_final = false;
  };
  // The fastest correct one of `count` candidates. `make_candidates` creates them for scratch buffers of these sizes,
  // which are aligned like workspaces.
  Choice fastest(size_t count, const std::vector<int64_t>& bytes,
                 const std::function<std::vector<Candidate>(std::span<void* const> buffers)>& make_candidates);

 private:
  static constexpr size_t kMaxCandidates = 8;

  // The seconds of each candidate; infinity if it cannot run or be captured.
  std::vector<double> measure(const std::vector<Candidate>& candidates);

  Context& context_;
  const bool enabled_, has_time_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace trainer::cuda
