// The line of a long command on a terminal: a bar and "12,000 of 60,000", redrawn ten times per second.
#pragma once

#include <chrono>
#include <cstdint>

#include "cli/signals.h"

namespace trainer {

// Handles the signals during its lifetime, like SignalHandlers.
class ProgressLine {
 public:
  // `stopped` says what a signal leaves behind. The text must outlive the object.
  explicit ProgressLine(const char* stopped = "unfinished files are removed") : stopped_(stopped) {}
  // Removes the line.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Shows the progress if the standard error is a terminal; `total` 0 is unknown. After a stop request, throws the
  // Error of SignalHandlers.
  void operator()(int64_t done, int64_t total);

 private:
  const SignalHandlers signals_;
  const char* const stopped_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace trainer
