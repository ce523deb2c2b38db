// The log: lines for people and for scripts that read Caffe's log.
//
// Library code writes lines with log_info and log_warning. Sinks receive them: the command line attaches one that
// writes through glog (cli/glog_sink.h). Without a sink lines are dropped. The functions that make lines, most of
// them Caffe's, return the text; numbers have six significant digits, as an ostream prints them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace trainer {

enum class LogSeverity : uint8_t { kInfo, kWarning };

struct LogRecord {
  LogSeverity severity;
  std::string_view text;  // without control characters except line ends
  const char* file;       // the source that wrote it
  int line;
  std::chrono::system_clock::time_point time;
  int thread;  // as gettid() numbers it
};

// Receives lines that are logged while it is attached.
class LogSink {
 public:
  virtual ~LogSink() = default;
  // Called by the thread that logs. A sink of all threads gets one line at a time and must not log.
  virtual void write(const LogRecord& line) = 0;
};

// The lines that a sink receives. Of several sinks of one thread only the one attached last receives them.
enum class LogSource : uint8_t { kAllThreads, kThisThread };

// Attaches a sink to the log for its own lifetime. Any thread may attach and detach a sink of all threads; once the
// destructor returns, the sink is not called again.
class LogAttachment {
 public:
  explicit LogAttachment(LogSink& sink, LogSource source = LogSource::kAllThreads);
  ~LogAttachment();
  LogAttachment(const LogAttachment&) = delete;
  LogAttachment& operator=(const LogAttachment&) = delete;

 private:
  LogSink& sink_;
};

// From any thread.
void log_info(std::string_view text, const char* file = __builtin_FILE(), int line = __builtin_LINE());
void log_warning(std::string_view text, const char* file = __builtin_FILE(), int line = __builtin_LINE());

// "0.01", "1e-05", "2.30259", "nan".
std::string log_number(double value);

std::string solving_line(std::string_view net);
std::string iteration_line(int64_t iteration, double iterations_per_second, double seconds, int64_t display,
                           double loss);
std::string final_loss_line(int64_t iteration, double loss);
std::string learning_rate_line(int64_t iteration, double rate);
// `weight` 0: the value is not a loss.
std::string train_output_line(int index, std::string_view name, double value, double weight);
std::string testing_line(int64_t iteration, int net);
std::string test_output_line(int index, std::string_view name, double value, double weight);
std::string test_loss_line(double loss);
std::string snapshot_weights_line(std::string_view path, bool hdf5);
std::string snapshot_state_line(std::string_view path, bool hdf5);
std::string new_best_line(int64_t iteration, std::string_view metric, double value, std::string_view path);

}  // namespace trainer
