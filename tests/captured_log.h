// The lines that are logged while an object of this class exists.
#pragma once

#include <mutex>
#include <string>

#include "report/log.h"

namespace trainer {

class CapturedLog : private LogSink {
 public:
  std::string warnings() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return warnings_;
  }
  std::string text() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return text_;
  }

 private:
  void write(const LogRecord& line) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    text_ += std::string(line.text) + "\n";
    if (line.severity == LogSeverity::kWarning) warnings_ += std::string(line.text) + "\n";
  }

  mutable std::mutex mutex_;
  std::string text_, warnings_;
  LogAttachment attachment_{*this};
};

}  // namespace trainer
