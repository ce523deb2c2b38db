// The log through glog.
#include "cli/glog_sink.h"

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "report/log.h"

namespace trainer {
namespace {

class GlogSink : public LogSink {
 public:
  void write(const LogRecord& line) override {
    const google::LogSeverity severity = line.severity == LogSeverity::kInfo ? google::GLOG_INFO : google::GLOG_WARNING;
    google::LogMessage(line.file, line.line, severity).stream() << line.text;
  }
};

// Sets the default value, so that a value that the user gives still counts as given.
void set_default(const char* flag, const char* value) {
  gflags::SetCommandLineOptionWithMode(flag, value, gflags::SET_FLAGS_DEFAULT);
}

bool user_set(const char* flag) {
  gflags::CommandLineFlagInfo info;
  return gflags::GetCommandLineFlagInfo(flag, &info) && !info.is_default;
}

}  // namespace

void set_up_logging(const char* program) {
  if (google::IsGoogleLoggingInitialized()) return;
  set_default("log_year_in_prefix", "false");
  if (std::getenv("GLOG_logtostderr") == nullptr) set_default("logtostderr", "true");
  // glog keeps the pointer.
  static const std::string name = program != nullptr ? program : "trainer";
  google::InitGoogleLogging(name.c_str());
  // To the end of the process: threads may log while it exits.
  static GlogSink* const sink = new GlogSink;
  static const auto* const attachment = new LogAttachment(*sink);
  static_cast<void>(attachment);
}

void apply_log_flags() {
  if (!FLAGS_log_dir.empty() && !user_set("logtostderr")) {
    FLAGS_logtostderr = false;
    FLAGS_alsologtostderr = true;
  }
  std::error_code ignored;
  if (!FLAGS_log_dir.empty() && !std::filesystem::is_directory(FLAGS_log_dir, ignored))
    throw config_error("--log_dir: there is no folder {}", FLAGS_log_dir);
}

bool log_lines_demanded() {
  return (user_set("logtostderr") && FLAGS_logtostderr) || (user_set("alsologtostderr") && FLAGS_alsologtostderr) ||
         std::getenv("GLOG_logtostderr") != nullptr;
}

QuietLog::QuietLog()
    : logtostderr_(FLAGS_logtostderr),
      alsologtostderr_(FLAGS_alsologtostderr),
      stderrthreshold_(FLAGS_stderrthreshold) {
  if (FLAGS_log_dir.empty()) {
    for (int severity = 0; severity < google::NUM_SEVERITIES; ++severity) google::SetLogDestination(severity, "");
  }
  FLAGS_logtostderr = false;
  FLAGS_alsologtostderr = false;
  FLAGS_stderrthreshold = google::NUM_SEVERITIES;
}

QuietLog::~QuietLog() {
  FLAGS_logtostderr = logtostderr_;
  FLAGS_alsologtostderr = alsologtostderr_;
  FLAGS_stderrthreshold = stderrthreshold_;
}

}  // namespace trainer
