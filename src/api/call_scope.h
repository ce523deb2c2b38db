// Thread settings for the duration of a library call.
#pragma once

#include <utility>

#include "report/log.h"
#include "trainer/trainer.h"

namespace trainer {

// The number of threads for the option `threads`. Throws a config_error for a negative number.
int threads_of(int requested);

// Passes log lines to the function of the options.
class CallerLog : public LogSink {
 public:
  explicit CallerLog(LogFunction log) : log_(std::move(log)) {}
  void write(const LogRecord& line) override {
    if (log_) log_(line.severity == LogSeverity::kWarning ? LogLevel::kWarning : LogLevel::kInfo, line.text);
  }

 private:
  const LogFunction log_;
};

// Sends the log of this thread to `log`, sets the number of OpenMP threads and treats denormals as zero. Kernels must
// run with the number of threads that they are planned for: a smaller team gives wrong results.
class CallScope {
 public:
  // Throws a config_error inside a parallel region of the caller, because nested teams are smaller, and a device_error
  // if the system cannot start the threads.
  CallScope(int threads, CallerLog& log);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  const LogAttachment attachment_;
  const int threads_, dynamic_;
  const unsigned float_mode_;
};

}  // namespace trainer
