// Writes log lines to a file with glog's prefix.
#include "report/log_file.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstring>

namespace trainer {
namespace {

// "I1121 08:40:01.123456 25210 file.cc:12] text".
std::string prefixed(const LogRecord& line) {
  using namespace std::chrono;
  const std::time_t seconds = system_clock::to_time_t(line.time);
  const auto micros = duration_cast<microseconds>(line.time.time_since_epoch()).count() % 1'000'000;
  const char* slash = std::strrchr(line.file, '/');
  return fmt::format("{}{:%m%d %H:%M:%S}.{:06} {:5} {}:{}] {}\n", line.severity == LogSeverity::kInfo ? 'I' : 'W',
                     fmt::localtime(seconds), micros, line.thread, slash == nullptr ? line.file : slash + 1, line.line,
                     line.text);
}

}  // namespace

void LogFile::write(const LogRecord& line) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (state_ == State::kKeeping) kept_ += prefixed(line);
  if (state_ == State::kWriting) file_.write(prefixed(line));
}

std::string LogFile::open(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_ = file_.open(path) ? State::kWriting : State::kClosed;
  file_.write(kept_);
  kept_.clear();
  return file_.problem();
}

void LogFile::close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_ = State::kClosed;
  kept_.clear();
}

}  // namespace trainer
