// Hands lines to the attached sinks, and makes the lines of Caffe's log.
#include "report/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "base/text.h"

namespace trainer {
namespace {

// One list for the process: a line has no owner that could pass the sinks on to every thread.
struct Attached {
  LogSink* sink;
  int thread;  // whose lines it receives; 0: those of all threads
};
struct Sinks {
  std::mutex mutex;
  std::vector<Attached> list;
};
Sinks& sinks() {
  static Sinks instance;
  return instance;
}

void write(LogSeverity severity, std::string_view text, const char* file, int line) {
  const std::string shown = printable(text, true);
  const LogRecord made{severity, shown, file, line, std::chrono::system_clock::now(), gettid()};
  LogSink* of_this_thread = nullptr;  // the one attached last
  {
    const std::lock_guard<std::mutex> lock(sinks().mutex);
    for (const Attached& attached : sinks().list) {
      if (attached.thread == 0) attached.sink->write(made);
      if (attached.thread == made.thread) of_this_thread = attached.sink;
    }
  }
  if (of_this_thread != nullptr) of_this_thread->write(made);
}

std::string output_line(const char* split, int index, std::string_view name, double value, double weight) {
  std::string line = fmt::format("    {} net output #{}: {} = {}", split, index, name, log_number(value));
  // Caffe multiplies in float.
  if (weight != 0)
    line += fmt::format(" (* {} = {} loss)", log_number(weight),
                        log_number(static_cast<float>(weight) * static_cast<float>(value)));
  return line;
}

}  // namespace

LogAttachment::LogAttachment(LogSink& sink, LogSource source) : sink_(sink) {
  const std::lock_guard<std::mutex> lock(sinks().mutex);
  sinks().list.push_back({&sink, source == LogSource::kThisThread ? gettid() : 0});
}

LogAttachment::~LogAttachment() {
  const std::lock_guard<std::mutex> lock(sinks().mutex);
  std::vector<Attached>& list = sinks().list;
  list.erase(
      std::find_if(list.begin(), list.end(), [this](const Attached& attached) { return attached.sink == &sink_; }));
}

void log_info(std::string_view text, const char* file, int line) { write(LogSeverity::kInfo, text, file, line); }
void log_warning(std::string_view text, const char* file, int line) { write(LogSeverity::kWarning, text, file, line); }

std::string log_number(double value) { return fmt::format("{:g}", value); }

std::string solving_line(std::string_view net) { return fmt::format("Solving {}", net); }

std::string iteration_line(int64_t iteration, double iterations_per_second, double seconds, int64_t display,
                           double loss) {
  return fmt::format("Iteration {} ({} iter/s, {}s/{} iters), loss = {}", iteration, log_number(iterations_per_second),
                     log_number(seconds), display, log_number(loss));
}

std::string final_loss_line(int64_t iteration, double loss) {
  return fmt::format("Iteration {}, loss = {}", iteration, log_number(loss));
}

std::string learning_rate_line(int64_t iteration, double rate) {
  return fmt::format("Iteration {}, lr = {}", iteration, log_number(rate));
}

std::string train_output_line(int index, std::string_view name, double value, double weight) {
  return output_line("Train", index, name, value, weight);
}

std::string testing_line(int64_t iteration, int net) {
  return fmt::format("Iteration {}, Testing net (#{})", iteration, net);
}

std::string test_output_line(int index, std::string_view name, double value, double weight) {
  return output_line("Test", index, name, value, weight);
}

std::string test_loss_line(double loss) { return fmt::format("Test loss: {}", log_number(loss)); }

std::string snapshot_weights_line(std::string_view path, bool hdf5) {
  return fmt::format("Snapshotting to {} file {}", hdf5 ? "HDF5" : "binary proto", path);
}

std::string snapshot_state_line(std::string_view path, bool hdf5) {
  return fmt::format("Snapshotting solver state to {} file {}", hdf5 ? "HDF5" : "binary proto", path);
}

std::string new_best_line(int64_t iteration, std::string_view metric, double value, std::string_view path) {
  return fmt::format("Iteration {}: {} = {}, the new best; wrote {}", iteration, metric, log_number(value), path);
}

}  // namespace trainer
