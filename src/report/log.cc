// Writes the log in Caffe's format with glog.
#include "report/log.h"

#include <fmt/format.h>
#include <gflags/gflags.h>
#include <glog/logging.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/text.h"

namespace trainer {
namespace {

// Sets only the default, so that flags set by the user can be recognized.
void set_default(const char* flag, const char* value) {
  gflags::SetCommandLineOptionWithMode(flag, value, gflags::SET_FLAGS_DEFAULT);
}

bool user_set(const char* flag) {
  gflags::CommandLineFlagInfo info;
  return gflags::GetCommandLineFlagInfo(flag, &info) && !info.is_default;
}

void write(google::LogSeverity severity, std::string_view text, const char* file, int line) {
  google::LogMessage(file, line, severity).stream() << printable(text, true);
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

void set_up_logging(const char* program) {
  if (google::IsGoogleLoggingInitialized()) return;
  set_default("log_year_in_prefix", "false");
  if (std::getenv("GLOG_logtostderr") == nullptr) set_default("logtostderr", "true");
  // glog keeps the pointer.
  static const std::string name = program != nullptr ? program : "trainer";
  google::InitGoogleLogging(name.c_str());
}

void apply_log_flags() {
  if (!FLAGS_log_dir.empty() && !user_set("logtostderr")) {
    FLAGS_logtostderr = false;
    FLAGS_alsologtostderr = true;
  }
  std::error_code ignored;
  if (!FLAGS_log_dir.empty() && !std::filesystem::is_directory(FLAGS_log_dir, ignored))
    throw config_error("--log_dir: the folder {} does not exist", FLAGS_log_dir);
}

bool log_lines_requested() {
  return (user_set("logtostderr") && FLAGS_logtostderr) || (user_set("alsologtostderr") && FLAGS_alsologtostderr) ||
         std::getenv("GLOG_logtostderr") != nullptr;
}

void log_info(std::string_view text, const char* file, int line) { write(google::GLOG_INFO, text, file, line); }
void log_warning(std::string_view text, const char* file, int line) { write(google::GLOG_WARNING, text, file, line); }

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

}  // namespace trainer
