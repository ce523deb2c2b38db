// The lines of the log in a file. Keeps the lines until the file is opened.
#pragma once

#include <mutex>
#include <string>

#include "report/append_file.h"
#include "report/log.h"

namespace trainer {

// Receives every line that is logged while it exists, from any thread.
class LogFile : private LogSink {
 public:
  LogFile() = default;

  // Appends the lines kept so far to the file, and every further line as it comes. Returns "" or the problem; then, as
  // after close(), lines are dropped.
  std::string open(const std::string& path);
  void close();

 private:
  enum class State { kKeeping, kWriting, kClosed };
  void write(const LogRecord& line) override;

  std::mutex mutex_;
  State state_ = State::kKeeping;
  std::string kept_;
  AppendFile file_;
  const LogAttachment attachment_{*this};  // the last member: lines come from here on
};

}  // namespace trainer
