// Copies small results of a program to the host after each run, so that the host reads those of one run during the
// next.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/program.h"

namespace trainer {

class AsyncResults {
 public:
  // The results are floats. A GPU copies each result in one piece: at most a few dozen results.
  AsyncResults(Device& device, const Program& program, std::vector<int> results);

  // Queues the copies after the last run of the program.
  void start();
  // The elements in order, of the last start or of the previous one. Waits only for the run that computed them. Valid
  // until the second start after theirs.
  std::span<const float> wait(bool previous = false) { return slots_[last_ ^ (previous ? 1 : 0)]->wait(); }

 private:
  const Program& program_;
  const std::vector<int> results_;
  std::vector<const void*> elements_;
  std::array<std::unique_ptr<Readback>, 2> slots_;
  size_t last_ = 0;
};

}  // namespace trainer
