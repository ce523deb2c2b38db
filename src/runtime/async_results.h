// Small results of a program, handed to the host behind each of its runs: what one run made is read while the next one
// goes on.
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
  // Results are floats, each fetched by itself: at most a few dozen elements in all.
  AsyncResults(Device& device, const Program& program, std::vector<int> results);

  // Queues their copies behind the program's last run.
  void start();
  // Their elements in sequence, as of the last start or of the one before it: waits no longer than for the runs that
  // made them. Valid until the next start but one.
  std::span<const float> wait(bool before = false) { return places_[last_ ^ (before ? 1 : 0)]->wait(); }

 private:
  const Program& program_;
  const std::vector<int> results_;
  std::vector<const void*> elements_;
  std::array<std::unique_ptr<Readback>, 2> places_;
  size_t last_ = 0;
};

}  // namespace trainer
