// Copies this process's log lines to a file.
#include "report/log_file.h"

#include <fmt/format.h>
#include <glog/logging.h>
#include <unistd.h>

#include <mutex>
#include <string_view>

#include "report/append_file.h"

namespace trainer {

class LogFile::Sink : public google::LogSink {
 public:
  Sink() { google::AddLogSink(this); }
  ~Sink() override { google::RemoveLogSink(this); }

  void send(google::LogSeverity severity, const char*, const char* file, int line, const google::LogMessageTime& time,
            const char* message, size_t length) override {
    // glog's own ToString writes the year even if the flag is off.
    const std::string text =
        fmt::format("{}{:02}{:02} {:02}:{:02}:{:02}.{:06} {:5} {}:{}] {}\n", google::GetLogSeverityName(severity)[0],
                    time.month() + 1, time.day(), time.hour(), time.min(), time.sec(), time.usec(), gettid(), file,
                    line, std::string_view(message, length));
    const std::lock_guard<std::mutex> lock(mutex_);
    if (state_ == kKeeping) kept_ += text;
    if (state_ == kWriting) file_.write(text);
  }

  std::string open(const std::string& path) {
    const std::lock_guard<std::mutex> lock(mutex_);
    state_ = file_.open(path) ? kWriting : kClosed;
    file_.write(kept_);
    kept_.clear();
    return file_.problem();
  }

  void close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    state_ = kClosed;
    kept_.clear();
  }

 private:
  std::mutex mutex_;
  enum { kKeeping, kWriting, kClosed } state_ = kKeeping;
  std::string kept_;
  AppendFile file_;
};

LogFile::LogFile() : sink_(std::make_unique<Sink>()) {}
LogFile::~LogFile() = default;
std::string LogFile::open(const std::string& path) { return sink_->open(path); }
void LogFile::close() { sink_->close(); }

}  // namespace trainer
