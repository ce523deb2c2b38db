// The line of a long command on a terminal: a bar and "12,000 of 60,000", redrawn ten times per second; of a download
// "Downloading NAME", the bar and "12.0 MiB of 97.8 MiB".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/signals.h"

namespace trainer {

// Handles the signals during its lifetime, like SignalHandlers, unless the command does so already.
class ProgressLine {
 public:
  // `stopped` says what a signal leaves behind. The text must outlive the object. `download` is the name of what is
  // downloaded, in bytes; "" for a command that counts items.
  explicit ProgressLine(const char* stopped = "unfinished files are removed", std::string download = "",
                        const SignalHandlers* signals = nullptr);
  // Removes the line.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Shows the progress if the standard error is a terminal; `total` 0 is unknown. After a stop request, throws the
  // Error of SignalHandlers.
  void operator()(int64_t done, int64_t total);

 private:
  std::optional<SignalHandlers> own_signals_;
  const SignalHandlers& signals_;
  const char* const stopped_;
  const std::string download_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace trainer
